"""A hadron cascade in a few lines: what flies, what interacts where, and what each collision makes.

A hadron loses energy as a minimum-ionising particle until it interacts, at an exponential depth.
A share of its energy breaks up the nucleus and stays there. The rest goes to a leading particle
and some others, a third of them neutral pions, which become electromagnetic showers on the spot;
the charged ones go on, until too little energy is left. So the electromagnetic share fluctuates
from shower to shower and grows with the energy, and what leaks out, or never interacts, is a
matter of chance (R. Wigmans, Calorimetry, chapter 2; C. W. Fabjan and F. Gianotti, RMP 75 (2003)
1243). Nothing of a real generator is here: no kinds of particles, no resonances, no neutrons. The
numbers below were chosen on the pions of docs/simulate.md, apart from the neutral third.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
_LEAST_GEV = 1.5  # of a hadron that still makes others
_NEUTRAL = 1 / 3  # of the particles made are neutral pions, by isospin
_BREAKUP = 0.33  # mean share of a 10 GeV collision's energy that goes to the nucleus
_BREAKUP_FALL, _MOST_BREAKUP = 0.1, 0.6  # its power of the energy: a nucleus takes only so much
_OTHERS, _OTHERS_PER_LN_E = 1.0, 2.0  # mean number of particles beside the leading one
_P_T_GEV = 0.28  # of each transverse component: 0.35 GeV on average
_STEEPEST = 1.0  # slope to the axis


@dataclass(frozen=True)
class Particles:
    """Hadrons, neutral pions or broken nuclei; each (M,).

    shower : whose
    energy : GeV
    s : mm along the shower's axis; x, y : mm across it; dx, dy : slopes to it
    """

    shower: Index
    energy: Array
    s: Array
    x: Array
    y: Array
    dx: Array
    dy: Array

    def __len__(self) -> int:
        return len(self.shower)

    def chosen(self, which: NDArray[np.bool_] | Index) -> Particles:
        """Some of them."""
        return Particles(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def moved(self, length: Array, energy: Array) -> Particles:
        """Along their slopes by `length` of s, with new energies."""
        return Particles(
            self.shower, energy, self.s + length, self.x + length * self.dx,
            self.y + length * self.dy, self.dx, self.dy,
        )  # fmt: skip


@dataclass(frozen=True)
class Cascade:
    """All that deposits energy: tracks (from their s, `length` mm long), pions, nuclei."""

    tracks: Particles
    length: Array
    pions: Particles
    nuclei: Particles


def cascade(
    energy: Array, lambda_mm: float, loss: float, depth: Array, rng: np.random.Generator
) -> Cascade:
    """Follow one hadron of each energy (GeV) and all that it makes.

    Parameters
    ----------
    lambda_mm : mean path to the next interaction
    loss : GeV/mm of a charged hadron
    depth : (N,) mm along the axis behind which nothing is followed
    """
    zero = np.zeros(len(energy))
    now = Particles(np.arange(len(energy)), energy, zero, zero, zero, zero, zero)
    tracks, lengths, pions, nuclei = [], [], [], []
    while len(now):
        path = rng.exponential(lambda_mm, len(now))
        length = np.minimum(path, now.energy / loss)
        tracks.append(now)
        lengths.append(length)
        now = now.moved(length, now.energy - loss * length)
        now = now.chosen((now.energy > 0) & (path <= length) & (now.s < depth[now.shower]))
        ends = now.energy < _LEAST_GEV
        nuclei.append(now.chosen(ends))
        broken, made = _collide(now.chosen(~ends), rng)
        nuclei.append(broken)
        neutral = rng.random(len(made)) < _NEUTRAL
        pions.append(made.chosen(neutral))
        now = made.chosen(~neutral)
    return Cascade(_all(tracks), np.concatenate(lengths), _all(pions), _all(nuclei))


def _collide(hadrons: Particles, rng: np.random.Generator) -> tuple[Particles, Particles]:
    """The broken nuclei of inelastic collisions, and the particles that leave them."""
    n = len(hadrons)
    mean = np.minimum(_BREAKUP * (hadrons.energy / 10) ** -_BREAKUP_FALL, _MOST_BREAKUP)
    share = rng.beta(2.0, 2.0 / mean - 2.0, n)
    left = hadrons.energy * (1 - share)
    others = 1 + rng.poisson(_OTHERS + _OTHERS_PER_LN_E * np.log(hadrons.energy))
    leading = rng.random(n)
    # The others share what the leading particle leaves as exponential variates do.
    parent = np.repeat(np.arange(n), others)
    part = rng.standard_exponential(len(parent))
    part /= np.bincount(parent, part, minlength=n)[parent]
    origin = np.concatenate([np.arange(n), parent])
    energy = np.concatenate([left * leading, (left * (1 - leading))[parent] * part])
    nucleus = hadrons.moved(np.zeros(n), hadrons.energy * share)
    made = hadrons.chosen(origin)
    kick = _P_T_GEV * rng.standard_normal((2, len(origin))) / np.maximum(energy, 1e-3)
    dx, dy = np.clip(kick + np.array([made.dx, made.dy]), -_STEEPEST, _STEEPEST)
    return nucleus, Particles(made.shower, energy, made.s, made.x, made.y, dx, dy)


def _all(parts: list[Particles]) -> Particles:
    names = Particles.__dataclass_fields__
    return Particles(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
