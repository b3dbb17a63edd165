"""Wasserstein-1 distance per observable, geometric mean."""

from __future__ import annotations

from catalog.physics import distances
from catalog.scoring.scores.arrays import Array, checked, closeness


def w1_geomean(generated: Array, target: Array) -> float:
    """-ln of the metric itself (arXiv 2512.00187), in [-ln 60, ln 1e4]; sees no correlations."""
    return closeness(distances.w1_geomean(*checked(generated, target)))
