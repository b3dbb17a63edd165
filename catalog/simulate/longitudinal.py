"""How deep an electromagnetic shower goes.

Source: Grindhammer and Peters, hep-ex/0001020, sections 2 and 3: one shower is a gamma function

    dE/dt = E b (b t)^(a-1) exp(-b t) / Gamma(a),   b = (a - 1) / T,

with ln T and ln a jointly normal. It starts from nothing, as t^(a-1); a shower starts with one
electron that ionises, and with the many soft photons that this one radiates. Both are added here:

    dE/dt = Ec [1 + SOFT (ln y - LN_Y) t] exp(-t / L) + rest * gamma function.

Some electrons give their energy to one photon at once: the gamma function then starts only where
that photon converts. With these two added, the constants of <ln T>, <ln a> and of their spreads
are not the paper's; they are chosen once, on full simulation in PbWO4 and W-Si (docs/simulate.md).
Depths are in X0, energies in GeV, y = E / Ec.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from catalog.simulate.medium import Medium

Array = NDArray[np.float64]
_MAX_SPREAD = 0.5  # of ln T and ln a, the guard of Geant4's sampling shower model
_MIN_LN_Y = 1.5  # below 40 MeV in lead the parametrisation means nothing
_SOFT, _SOFT_LN_Y, _EARLY_X0 = 2.7, 4.66, 3.9
_MOST_EARLY = 0.5  # share of the energy; reached below 0.2 GeV only
_LATE_X0, _HARD, _CONVERSION_X0 = 0.19, 0.07, 9 / 7
# Of what falls in the active slabs, relative to its mean: falls by this much of 1 - e/mip with
# every mean depth of a shower, as ever more of it is soft photons that the dense slabs absorb.
_AGEING = 0.2


@dataclass(frozen=True)
class Spread:
    """Means, spreads and correlation of ln T and ln a at given energies; each (N,)."""

    mean_t: Array
    spread_t: Array
    mean_a: Array
    spread_a: Array
    correlation: Array


@dataclass(frozen=True)
class Profiles:
    """Longitudinal profiles of N electron showers; each (N,).

    t_max, alpha : of the gamma function; beta = (alpha - 1) / t_max
    mean_alpha : exp<ln alpha> at that energy, which scales the lateral profile
    delay : X0 from the electron's start to that of the gamma function
    """

    energy: Array
    t_max: Array
    alpha: Array
    mean_alpha: Array
    delay: Array

    @property
    def mean_depth(self) -> Array:
        """Mean depth of each gamma function from its start, X0."""
        return self.t_max * self.alpha / (self.alpha - 1)


def spread_of(medium: Medium, energy: Array) -> Spread:
    """Joint distribution of ln T and ln alpha (sections 2.1 and 3.2)."""
    ln_y = np.maximum(np.log(energy * 1e3 / medium.ec_mev), _MIN_LN_Y)
    t = ln_y - 0.96
    a = 0.96 + (0.44 + 2.17 / medium.z) * ln_y
    spread_t, spread_a = _inverse(-4.0 + 1.7 * ln_y), _inverse(-0.6 + 0.83 * ln_y)
    correlation = 0.705 - 0.023 * ln_y
    mean_t, mean_a = np.log(np.maximum(t, 0.1)), np.log(np.maximum(a, 1.2))
    return Spread(mean_t, spread_t, mean_a, spread_a, correlation)


def _inverse(value: Array) -> Array:
    return np.minimum(1 / np.maximum(value, 1 / _MAX_SPREAD), _MAX_SPREAD)


def draw_profiles(medium: Medium, energy: Array, rng: np.random.Generator) -> Profiles:
    """Draw one profile for each energy."""
    spread = spread_of(medium, energy)
    g = rng.standard_normal((2, len(energy)))
    plus = g[0] * np.sqrt((1 + spread.correlation) / 2)
    minus = g[1] * np.sqrt((1 - spread.correlation) / 2)
    t_max = np.exp(spread.mean_t + spread.spread_t * (plus + minus))
    alpha = np.exp(spread.mean_a + spread.spread_a * (plus - minus))
    mean_alpha = np.exp(spread.mean_a)
    hard = rng.random(len(energy)) < _HARD
    delay = np.where(hard, rng.exponential(_CONVERSION_X0, len(energy)), 0.0) + _LATE_X0
    return Profiles(energy, np.maximum(t_max, 0.5), np.maximum(alpha, 1.1), mean_alpha, delay)


def spot_profiles(medium: Medium, profiles: Profiles) -> tuple[Array, Array, Array]:
    """Number of spots and the (T, alpha) of their depth (sections 2.3 and 3.4), each (N,)."""
    if medium.homogeneous or medium.stochastic == 0:
        number = 93 * np.log(medium.z) * profiles.energy**0.876
        t_factor, a_factor = 0.698 + 0.00212 * medium.z, 0.639 + 0.00334 * medium.z
    else:
        number = 10.3 / medium.stochastic * profiles.energy**0.959
        t_factor, a_factor = 0.813 + 0.0019 * medium.z, 0.844 + 0.0026 * medium.z
    alpha = np.maximum(profiles.alpha * a_factor, 1.05)
    return number, profiles.t_max * t_factor, alpha


def energies(medium: Medium, profiles: Profiles, depth: Array) -> Array:
    """Energy, weighted by what is seen of it, between depths from the electron's start.

    Parameters
    ----------
    depth : (N, P + 1) X0, not below 0

    Returns
    -------
    (N, P) GeV; all of it, to infinite depth, is the electron's energy.
    """
    track, soft = _early(medium, profiles.energy)
    x = depth / _EARLY_X0
    end = np.exp(-x)
    ionised = track[:, None] * (1 - end)
    radiated = soft[:, None] * (1 - (1 + x) * end)
    inside = np.maximum(depth - profiles.delay[:, None], 0.0)
    rest = (profiles.energy - track - soft)[:, None]
    cascade = rest * shares(profiles.t_max, profiles.alpha, inside)
    middle = 0.5 * (inside[:, 1:] + inside[:, :-1]) / profiles.mean_depth[:, None]
    seen = 1 + _AGEING * (1 - medium.e_mip) * (1 - middle)
    out: Array = np.diff(ionised) + (np.diff(radiated) + cascade) * np.maximum(seen, 0.0)
    return out


def _early(medium: Medium, energy: Array) -> tuple[Array, Array]:
    """Energy of the first electron's own track and of its soft photons, GeV, (N,) each."""
    ec = medium.ec_mev * 1e-3
    # A track is seen as a minimum-ionising particle is, the rest less by e/mip.
    track = ec * _EARLY_X0 / medium.e_mip
    soft = ec * _SOFT * _EARLY_X0**2 * np.maximum(np.log(energy / ec) - _SOFT_LN_Y, 0.0)
    fit = np.minimum(1.0, _MOST_EARLY * energy / (track + soft))
    return fit * track, fit * soft


def shares(t_max: Array, alpha: Array, depth: Array) -> Array:
    """Share of each shower between depths from its start: (N, P + 1) edges give (N, P)."""
    beta = (alpha - 1) / t_max
    out: Array = np.diff(gammainc(alpha[:, None], beta[:, None] * depth), axis=1)
    return out
