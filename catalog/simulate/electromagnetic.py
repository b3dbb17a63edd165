"""Electron and photon showers: Grindhammer-Peters, with the spots of `spots.py`.

A photon converts after an exponential depth of 9/7 X0 and then is two electrons that share its
energy as (9/7) (1 - (4/3) x (1 - x)), the Bethe-Heitler limit of complete screening.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.simulate import lateral, longitudinal
from catalog.simulate.beam import PHOTONS, Beam
from catalog.simulate.medium import Medium
from catalog.simulate.spots import (
    HOMOGENEOUS,
    SAMPLING,
    Slices,
    Tracks,
    Where,
    deposit,
)

Array = NDArray[np.float64]
_CONVERSION_X0 = 9 / 7
_SOFTEST_SHARE = 0.02  # of a pair: the screening limit fails beyond
# Beyond 5 R_M full simulation has less than 1 % of a shower, the r^-3 tail of the form 1.2 %.
_REACH_RM = 5.0
_NOTHING = 1e-7  # share of a shower below which a slice is left out


@dataclass(frozen=True)
class Electrons:
    """Electrons that start a shower; each (M,). start is the depth of the first one in X0."""

    shower: NDArray[np.int64]
    energy: Array
    start: Array


def electrons_of(beam: Beam, rng: np.random.Generator) -> Electrons:
    """The electrons of each shower: the particle itself, or the pair of a photon."""
    n = len(beam)
    if beam.pdg not in PHOTONS:
        return Electrons(np.arange(n), beam.energy, np.zeros(n))
    start = rng.exponential(_CONVERSION_X0, n)
    share = _pair_share(n, rng)
    energy = np.concatenate([beam.energy * share, beam.energy * (1 - share)])
    return Electrons(np.tile(np.arange(n), 2), energy, np.tile(start, 2))


def _pair_share(n: int, rng: np.random.Generator) -> Array:
    """x from 1 - (4/3) x (1 - x), by rejection: at least two thirds of the tries are kept."""
    out = np.empty(0)
    while len(out) < n:
        x, u = rng.random((2, 2 * n + 16))
        out = np.concatenate([out, x[u < 1 - 4 / 3 * x * (1 - x)]])
    return np.clip(out[:n], _SOFTEST_SHARE, 1 - _SOFTEST_SHARE)


def shower_block(
    beam: Beam, medium: Medium, where: Where, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Visible energy of every voxel, GeV: (N, voxels)."""
    electrons = electrons_of(beam, rng)
    jitter = medium.axis_jitter_rm * medium.rm_mm * np.sqrt(10 / beam.energy)
    shift = rng.standard_normal((2, len(beam))) * jitter
    tracks = Tracks(beam.impact[:, 0] + shift[0], beam.impact[:, 1] + shift[1], beam.theta)
    rows, total = _slices(electrons, beam, medium, where, rng)
    out, drawn = deposit(rows, tracks, where, rng)
    wanted = np.bincount(electrons.shower, total, minlength=len(beam))
    # Random spot energies keep a shower's shape but not its sum: that is given.
    scale = medium.visible * wanted / np.maximum(drawn, 1e-30)
    return np.multiply(out, scale[:, None], dtype=np.float32, casting="unsafe")


def _slices(
    electrons: Electrons, beam: Beam, medium: Medium, where: Where, rng: np.random.Generator
) -> tuple[Slices, Array]:
    """Core and tail rows, and the energy deposited in the stack by each electron (M,)."""
    profiles = longitudinal.draw_profiles(medium, electrons.energy, rng)
    # Depth along an inclined axis is 1 / cos(theta) of the depth in the stack.
    path = where.planes.edges / np.cos(beam.theta[electrons.shower])[:, None]
    depth = np.maximum(path - electrons.start[:, None], 0.0)
    energy = longitudinal.energies(medium, profiles, depth)
    inside = np.maximum(depth - profiles.delay[:, None], 0.0)
    number, t_spot, a_spot = longitudinal.spot_profiles(medium, profiles)
    spots = number[:, None] * longitudinal.shares(t_spot, a_spot, inside)
    if medium.stochastic:
        c2 = medium.stochastic**2
        energy = c2 * rng.standard_gamma(energy / c2)
    used = energy > _NOTHING * electrons.energy[:, None]
    middle = 0.5 * (inside[:, 1:] + inside[:, :-1])
    scale = profiles.mean_alpha / (profiles.mean_alpha - 1) / profiles.mean_depth
    core, tail, weight = lateral.radii(medium, middle * scale[:, None], electrons.energy)
    unit = medium.rm_mm * medium.lateral_scale
    row, plane = np.nonzero(used)
    share = np.concatenate([weight[used], 1 - weight[used]])
    model = HOMOGENEOUS if medium.homogeneous else SAMPLING
    density = np.repeat([model.core, model.tail], len(row))
    count = np.tile(spots[used], 2) * share * density + rng.random(2 * len(row))
    slices = Slices(
        shower=np.tile(electrons.shower[row], 2),
        plane=np.tile(plane, 2),
        energy=np.tile(energy[used], 2) * share,
        radius_mm=unit * np.concatenate([core[used], tail[used]]),
        spots=np.maximum(count.astype(np.int64), 1),
        cores=len(row),
        core_shape=model.core_shape,
        reach_mm=_REACH_RM * unit,
    )
    return slices, energy.sum(1)
