"""Simulate showers: any detector with a layer stack, any mesh, any beam.

Showers are made in blocks of 16, each with a random stream of its own that depends on the seed and
on the block's number only: the same seed gives the same showers, however many are asked for at
once and in whatever pieces they are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import Mesh
from catalog.showers import ShowerSet
from catalog.simulate import electromagnetic, hadronic
from catalog.simulate.beam import HADRONS, Beam
from catalog.simulate.cells import CellFinder
from catalog.simulate.medium import medium_of, planes_of
from catalog.simulate.spots import Where

BLOCK = 16  # with 25^3 cells their energies stay in the cache; 64 is 1.5 times slower


def blocks(
    detector: Detector, mesh: Mesh, beam: Beam, seed: int = 0
) -> Iterator[NDArray[np.float32]]:
    """Visible energies in GeV, block by block: (at most 16, voxels) each.

    Raises
    ------
    UsageError
        The detector has no layer stack.
    """
    medium = medium_of(detector)
    where = Where(planes_of(detector, mesh), CellFinder(mesh))
    model = hadronic if beam.pdg in HADRONS else electromagnetic
    threshold = detector.response.threshold_mev * 1e-3
    for number, start in enumerate(range(0, len(beam), BLOCK)):
        rng = np.random.default_rng([seed, 2, number])
        part = beam.part(start, start + BLOCK)
        showers = model.shower_block(part, medium, where, rng).astype(np.float32)
        if threshold:
            showers[showers < threshold] = 0
        yield showers


def simulate(
    detector: Detector,
    mesh: Mesh,
    beam: Beam,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ShowerSet:
    """Simulate every particle of the beam.

    Parameters
    ----------
    progress : called with (showers done, showers in all)

    Returns
    -------
    ShowerSet whose energies are GeV in the active material, without noise.
    """
    energies = np.empty((len(beam), mesh.voxels), np.float32)
    done = 0
    for block in blocks(detector, mesh, beam, seed):
        energies[done : done + len(block)] = block
        done += len(block)
        if progress:
            progress(done, len(beam))
    source = f"parametrised simulation, seed {seed}"
    return ShowerSet(energies, beam.energy, beam.theta, mesh, detector, beam.pdg, source)
