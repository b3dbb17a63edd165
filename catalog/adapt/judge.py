"""Judge generated showers by the catalog's own metric, on showers kept out of training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog.adapt.family import Judge, TrainingData
from catalog.domain.geometry import geometry_of
from catalog.physics.distances import w1_geomean
from catalog.physics.observables import observe, observe_grid
from catalog.showers import PHYSICS_SHAPE, Shape, ShowerSet, rebin

Beam = tuple[NDArray[np.float64], NDArray[np.float64]]


def make_judge(kept: ShowerSet, shape: Shape, showers: int) -> tuple[Beam, Judge]:
    """Energies (GeV) and angles (rad) to generate at, and the w1_geomean of what is generated.

    Parameters
    ----------
    kept : the showers to compare with
    shape : the mesh that the model generates on
    showers : how many to generate, at least: the conditions of `kept` are repeated
    """
    reference = observe(kept).values
    repeats = max(1, -(-showers // len(kept)))
    gev, theta = np.tile(kept.incident_gev, repeats), np.tile(kept.theta_rad, repeats)
    x0, rm = kept.scale()
    source, target = shape.mesh(x0, rm), PHYSICS_SHAPE.mesh(x0, rm)
    fraction = kept.sampling_fraction()

    def judge(generated: NDArray[np.float32]) -> float:
        moved = rebin(generated.reshape(len(generated), -1), source, target)
        grid = moved.reshape(-1, *PHYSICS_SHAPE.size)
        return w1_geomean(observe_grid(grid, gev, fraction).values, reference)

    return (gev, theta), judge


def training_data(learn: ShowerSet, shape: Shape, beam: Beam) -> TrainingData:
    """Showers to learn from on the model's mesh, with the conditions its judge asks for."""
    return TrainingData(
        showers=learn.on(shape),
        incident_gev=learn.incident_gev,
        theta_rad=learn.theta_rad,
        pdg=learn.pdg,
        geometry=geometry_of(learn.detector, learn.sampling_fraction()),
        judge_gev=beam[0],
        judge_theta_rad=beam[1],
    )
