"""Fidelity and coverage by nearest neighbours: precision and recall of arXiv 1904.06991.

All distances are held at once: for thousands of showers, not for hundreds of thousands.
"""

from __future__ import annotations

import math

import numpy as np

from catalog.scoring.scores.arrays import Array, pair, squared_distances

_NEIGHBOURS = 3  # of a target shower


def fidelity(generated: Array, target: Array) -> float:
    """Share of the model's showers that lie among the target's, in [0, 1]."""
    x, y = pair(generated, target)
    return _share_within(x, y, _NEIGHBOURS)


def coverage(generated: Array, target: Array) -> float:
    """Share of the target's showers that lie among the model's, in [0, 1]."""
    x, y = pair(generated, target)
    # Balls that hold the same share of their own set, however many were generated.
    return _share_within(y, x, math.ceil(_NEIGHBOURS * len(x) / len(y)))


def _share_within(points: Array, centres: Array, neighbours: int) -> float:
    """Share of points within the distance of some centre to its k-th neighbour."""
    nth = min(neighbours, len(centres) - 1)  # the nearest one is the centre itself
    radii = np.partition(squared_distances(centres, centres), nth, axis=1)[:, nth]
    return float((squared_distances(points, centres) <= radii).any(1).mean())
