"""KPD of arXiv 2211.10295."""

from __future__ import annotations

from catalog.physics import jetnet_distances
from catalog.scoring.scores.arrays import Array, checked, closeness


def kpd(generated: Array, target: Array) -> float:
    """-ln of jetnet's KPD, in units of the target's largest values.

    Free of bias, so that a model within its noise may read 0 or less: all of those tie at ln 1e6.
    """
    return closeness(jetnet_distances.kpd(*checked(generated, target)))
