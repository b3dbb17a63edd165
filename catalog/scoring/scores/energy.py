"""Energy distance."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, closeness, discrepancy, pair, squared_distances


def energy(generated: Array, target: Array) -> float:
    """-ln of the energy distance, in spreads of the target."""
    return closeness(energy_distance(*pair(generated, target)))


def energy_distance(x: Array, y: Array) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'| (Szekely and Rizzo 2013), over all pairs: >= 0."""
    return discrepancy(x, y, lambda a, b: -np.sqrt(squared_distances(a, b)))
