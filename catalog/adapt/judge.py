"""Judge generated showers by the catalog's own metric, on showers kept out of training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog.adapt.family import Judge
from catalog.physics.distances import w1_geomean
from catalog.physics.observables import observe, observe_grid
from catalog.showers import PHYSICS_SHAPE, Shape, ShowerSet, rebin


def make_judge(kept: ShowerSet, shape: Shape, showers: int) -> tuple[NDArray[np.float64], Judge]:
    """Energies to generate at, and the w1_geomean of what was generated there.

    Parameters
    ----------
    kept : the showers to compare with
    shape : the mesh that the model generates on
    showers : how many to generate, at least: the energies of `kept` are repeated
    """
    reference = observe(kept).values
    gev = np.tile(kept.incident_gev, max(1, -(-showers // len(kept))))
    x0, rm = kept.scale()
    source, target = shape.mesh(x0, rm), PHYSICS_SHAPE.mesh(x0, rm)
    fraction = kept.sampling_fraction()

    def judge(generated: NDArray[np.float32]) -> float:
        moved = rebin(generated.reshape(len(generated), -1), source, target)
        grid = moved.reshape(-1, *PHYSICS_SHAPE.size)
        return w1_geomean(observe_grid(grid, gev, fraction).values, reference)

    return gev, judge
