"""Frechet distance of two Gaussians, both covariances shrunk (Ledoit-Wolf)."""

from __future__ import annotations

from catalog.physics import distances
from catalog.scoring.scores.arrays import Array, checked, closeness


def frechet(generated: Array, target: Array) -> float:
    """-ln of FPD in spreads of the target, steady from 40 showers; compare at equal n."""
    return closeness(distances.frechet(*checked(generated, target)))
