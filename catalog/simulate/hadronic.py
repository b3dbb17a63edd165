"""Hadron showers, roughly: a cascade (`cascade.py`) whose pieces deposit in simple shapes.

Tracks lose energy as minimum-ionising particles, neutral pions are electromagnetic showers of mean
shape, and nuclei break up near where they are hit. What each piece shows of its energy makes the
calorimeter's e/h: the energy that frees nucleons is lost, and slow protons saturate scintillators.

This is rough: there are no neutrons, no late energy, and no kinds of particles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.simulate import longitudinal
from catalog.simulate.beam import Beam
from catalog.simulate.cascade import Cascade, Particles, cascade
from catalog.simulate.medium import Medium
from catalog.simulate.spots import SAMPLING, Slices, Tracks, Where, deposit

Array = NDArray[np.float64]
_MESONS = (211, -211, 321, -321, 130, 310)
_MESON_PATH = 1.2  # of a meson over the nuclear interaction length: 161 to 132 g/cm2 in iron (PDG)
_RISE = 1.2  # loss of a relativistic hadron over the minimum
_NUCLEUS_SEEN = 0.69  # of what a nucleus takes: the rest is binding energy and slow neutrons
_NUCLEUS_LAMBDA = 0.38  # how far its protons and neutrons carry it
_FORWARD = 0.68  # of it, to the front
_EM_RADIUS_RM = 1 / 3  # with the form 2 r R^2 / (r^2 + R^2)^2: 90 % within 1 R_M
_ELECTRON = 1 / 4  # of a neutral pion's energy: two photons, each a pair
_TRACK_MM = 1.0
_CONVERSION_X0 = 9 / 7
_SPOTS_PER_GEV = 40.0
_REACH_LAMBDA = 5.0
_NOTHING_GEV = 1e-5


@dataclass(frozen=True)
class Rows:
    """Deposits of M pieces in P planes: energy (M, P) GeV as seen, radius mm, x and y (M, P)."""

    shower: NDArray[np.int64]
    energy: Array
    radius: float
    x: Array
    y: Array


def shower_block(
    beam: Beam, medium: Medium, where: Where, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Visible energy of every voxel, GeV: (N, voxels)."""
    path = where.planes.zone / np.cos(beam.theta)[:, None]
    meson = _MESON_PATH if beam.pdg in _MESONS else 1.0
    loss = _RISE * medium.mip_gev_mm
    made = cascade(beam.energy, meson * medium.lambda_mm, loss, path[:, -1], rng)
    rows = [
        _tracks(made, path, loss / medium.e_mip),
        _pions(made.pions, path, medium, rng),
        _nuclei(made.nuclei, path, medium),
    ]
    slices, total = _slices(rows, len(beam), medium, rng)
    tracks = Tracks(beam.impact[:, 0], beam.impact[:, 1], beam.theta)
    out, drawn = deposit(slices, tracks, where, rng)
    scale = medium.visible * total / np.maximum(drawn, 1e-30)
    return np.multiply(out, scale[:, None], dtype=np.float32, casting="unsafe")


def _tracks(made: Cascade, path: Array, loss: float) -> Rows:
    """Each track in every plane that it crosses; it is seen as a minimum-ionising particle is."""
    p = made.tracks
    s = path[p.shower]
    length = np.diff(np.clip(s, p.s[:, None], (p.s + made.length)[:, None]))
    middle = 0.5 * (s[:, 1:] + s[:, :-1]) - p.s[:, None]
    x, y = (a[:, None] + b[:, None] * middle for a, b in ((p.x, p.dx), (p.y, p.dy)))
    return Rows(p.shower, loss * length, _TRACK_MM, x, y)


def _pions(p: Particles, path: Array, medium: Medium, rng: np.random.Generator) -> Rows:
    """Electromagnetic showers of mean shape, of four electrons from where a photon converts."""
    spread = longitudinal.spread_of(medium, _ELECTRON * p.energy)
    start = p.s / medium.x0_mm + rng.exponential(_CONVERSION_X0, len(p))
    depth = np.maximum(path[p.shower] / medium.x0_mm - start[:, None], 0.0)
    t_max, alpha = np.exp(spread.mean_t), np.exp(spread.mean_a)
    energy = p.energy[:, None] * longitudinal.shares(t_max, alpha, depth)
    along = 0.5 * (depth[:, 1:] + depth[:, :-1]) * medium.x0_mm
    x, y = (a[:, None] + b[:, None] * along for a, b in ((p.x, p.dx), (p.y, p.dy)))
    return Rows(p.shower, energy, _EM_RADIUS_RM * medium.rm_mm * medium.lateral_scale, x, y)


def _nuclei(p: Particles, path: Array, medium: Medium) -> Rows:
    """What broken nuclei show, to all sides."""
    reach = _NUCLEUS_LAMBDA * medium.lambda_mm
    away = (path[p.shower] - p.s[:, None]) / reach
    inside = np.where(away > 0, _FORWARD, _FORWARD - 1) * (1 - np.exp(-np.abs(away)))
    energy = _NUCLEUS_SEEN * p.energy[:, None] * np.diff(inside)
    shape = energy.shape
    return Rows(
        p.shower, energy, reach, np.broadcast_to(p.x[:, None], shape),
        np.broadcast_to(p.y[:, None], shape),
    )  # fmt: skip


def _slices(
    rows: list[Rows], showers: int, medium: Medium, rng: np.random.Generator
) -> tuple[Slices, Array]:
    """Rows to be filled with spots, and the energy seen of each shower (N,)."""
    used = [np.nonzero(row.energy > _NOTHING_GEV) for row in rows]
    energy = np.concatenate([row.energy[at] for row, at in zip(rows, used, strict=True)])
    shower = np.concatenate([row.shower[at[0]] for row, at in zip(rows, used, strict=True)])
    if medium.stochastic:
        c2 = medium.stochastic**2
        energy = np.maximum(c2 * rng.standard_gamma(energy / c2), 1e-12)
    slices = Slices(
        shower=shower,
        plane=np.concatenate([at[1] for at in used]),
        energy=energy,
        radius_mm=np.repeat([row.radius for row in rows], [len(at[0]) for at in used]),
        spots=1 + (energy * _SPOTS_PER_GEV + rng.random(len(energy))).astype(np.int64),
        cores=0,
        core_shape=SAMPLING.core_shape,
        reach_mm=_REACH_LAMBDA * medium.lambda_mm,
        offset_mm=np.array([
            np.concatenate([row.x[at] for row, at in zip(rows, used, strict=True)]),
            np.concatenate([row.y[at] for row, at in zip(rows, used, strict=True)]),
        ]),
    )  # fmt: skip
    total: Array = np.bincount(shower, energy, minlength=showers).astype(np.float64)
    return slices, total
