"""Hadron showers, roughly: Bock's two gamma functions with the constants of CMS fast simulation.

Source: R. K. Bock et al., NIM 186 (1981) 533; constants of CMSSW FastSim HDShower (CMSJET). From
the first inelastic interaction, at an exponential depth of one interaction length,

    dE/ds = E { w Ga(a_E, b_E; s/X0) / X0 + (1 - w) Ga(a_H, b_H; s/lambda) / lambda }.

This is rough: mean profiles are right to 15-35 %, single showers of hadrons differ far more than
these do, and there are no neutrons, no late energy and no correlation of shape with response.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from catalog.simulate.beam import Beam
from catalog.simulate.medium import Medium
from catalog.simulate.spots import SAMPLING, Slices, Tracks, Where, deposit

Array = NDArray[np.float64]
_VALID_GEV = (2.0, 500.0)
_PI0_SPREAD = 0.12  # of the electromagnetic share from shower to shower: a guess
_EM_RADIUS_RM = 1.5  # of the pi0 core, which many pi0 at their own places widen: a guess
# Response to hadrons (Wigmans): 1 - (1 - h/e) (1 - f_em), f_em = 1 - (E/E0)^(k - 1). The invisible
# share is nuclear binding energy. h/e of iron and scintillator; k and E0 of pions; from memory.
_H_OVER_E, _K, _E0_GEV = 0.75, 0.82, 1.0
_SPOTS_PER_GEV = 40.0
_REACH_LAMBDA = 5.0
_NOTHING = 1e-6


@dataclass(frozen=True)
class HadronShape:
    """Constants of the two gamma functions and the radius; each (N,)."""

    a_em: Array
    b_em: Array
    a_had: Array
    b_had: Array
    share: Array
    ln_e: Array

    def radius(self, depth: Array) -> Array:
        """R in interaction lengths at `depth` interaction lengths from the start, (N, P)."""
        slope = np.maximum(0.359 - 0.0511 * self.ln_e, 0.02)
        out: Array = 0.0124 + slope[:, None] * depth
        return out


def shape_of(energy: Array) -> HadronShape:
    """Constants of HDShower, which has one set below 10 GeV and one above."""
    e = np.clip(energy, *_VALID_GEV)
    d = np.log((0.35 + 0.09 * np.log(e)) * e)

    def either(low: tuple[float, float], high: tuple[float, float]) -> Array:
        out: Array = np.where(e < 10, low[0] + low[1] * d, high[0] + high[1] * d)
        return out

    return HadronShape(
        a_em=either((1.08, 0.24), (1.30, 0.255)),
        b_em=either((0.478, -0.135), (0.289, -0.010)),
        a_had=either((1.17, 0.21), (0.38, 0.23)),
        b_had=either((2.10, -0.72), (0.83, -0.049)),
        share=np.clip(either((0.751, -0.177), (0.509, -0.021)), 0.0, 1.0),
        ln_e=np.log(e),
    )


def response_of(energy: Array) -> Array:
    """Visible signal of a hadron over that of an electron of the same energy (GeV)."""
    f_em = 1 - np.maximum(energy / _E0_GEV, 1.0) ** (_K - 1)
    out: Array = 1 - (1 - _H_OVER_E) * (1 - f_em)
    return out


def shower_block(
    beam: Beam, medium: Medium, where: Where, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Visible energy of every voxel, GeV: (N, voxels)."""
    path = where.planes.zone / np.cos(beam.theta)[:, None]
    start = rng.exponential(medium.lambda_mm, len(beam))
    tracks = Tracks(beam.impact[:, 0], beam.impact[:, 1], beam.theta)
    track = np.diff(np.minimum(path, start[:, None]), axis=1) * medium.mip_gev_mm
    left = np.maximum(beam.energy - track.sum(1), 0.0)
    inside = np.maximum(path - start[:, None], 0.0)
    em, had = _energies(left, inside, medium, rng)
    if medium.stochastic:
        c2 = medium.stochastic**2
        em, had = c2 * rng.standard_gamma(em / c2), c2 * rng.standard_gamma(had / c2)
    rows, total = _slices(beam, em, had + track, inside, medium, rng)
    out, drawn = deposit(rows, tracks, where, rng)
    scale = medium.visible * response_of(beam.energy) * total / np.maximum(drawn, 1e-30)
    return np.multiply(out, scale[:, None], dtype=np.float32, casting="unsafe")


def _energies(
    energy: Array, inside: Array, medium: Medium, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Electromagnetic and hadronic energy in every plane, (N, P) each."""
    shape = shape_of(energy + 1e-9)
    spread = np.minimum(_PI0_SPREAD**2, 0.9 * shape.share * (1 - shape.share) + 1e-9)
    size = np.maximum(shape.share * (1 - shape.share) / spread - 1, 1e-3)
    share = rng.beta(shape.share * size + 1e-6, (1 - shape.share) * size + 1e-6)
    em_depth = shape.b_em[:, None] * inside / medium.x0_mm
    had_depth = shape.b_had[:, None] * inside / medium.lambda_mm
    em = np.diff(gammainc(shape.a_em[:, None], em_depth), axis=1)
    had = np.diff(gammainc(shape.a_had[:, None], had_depth), axis=1)
    return (energy * share)[:, None] * em, (energy * (1 - share))[:, None] * had


def _slices(
    beam: Beam, em: Array, had: Array, inside: Array, medium: Medium, rng: np.random.Generator
) -> tuple[Slices, Array]:
    """Rows of the pi0 core and of the rest, and the energy deposited in the stack (N,)."""
    least = _NOTHING * beam.energy[:, None]
    depth = 0.5 * (inside[:, 1:] + inside[:, :-1]) / medium.lambda_mm
    wide = shape_of(beam.energy).radius(depth) * medium.lambda_mm
    first, second = np.nonzero(em > least), np.nonzero(had > least)
    energy = np.concatenate([em[first], had[second]])
    narrow = np.full(len(first[0]), _EM_RADIUS_RM * medium.rm_mm * medium.lateral_scale)
    count = energy * _SPOTS_PER_GEV + rng.random(len(energy))
    slices = Slices(
        shower=np.concatenate([first[0], second[0]]),
        plane=np.concatenate([first[1], second[1]]),
        energy=energy,
        radius_mm=np.concatenate([narrow, wide[second]]),
        spots=np.maximum(count.astype(np.int64), 1),
        cores=len(first[0]),
        core_shape=SAMPLING.core_shape,
        reach_mm=_REACH_LAMBDA * medium.lambda_mm,
    )
    return slices, (em * (em > least)).sum(1) + (had * (had > least)).sum(1)
