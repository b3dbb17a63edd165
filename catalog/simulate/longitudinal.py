"""How deep an electromagnetic shower goes: the fluctuating gamma profile of Grindhammer-Peters.

Source: hep-ex/0001020, sections 2 (homogeneous) and 3 (sampling). The profile of one shower is

    dE/dt = E b (b t)^(a-1) exp(-b t) / Gamma(a),   b = (a - 1) / T,

with ln T and ln a jointly normal. Depths are in X0, energies in GeV, y = E / Ec.
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
    """Longitudinal profiles of N showers; each (N,).

    t_max, alpha : of the energy profile; beta = (alpha - 1) / t_max
    mean_alpha : exp<ln alpha> at that energy, which scales the lateral profile
    """

    energy: Array
    t_max: Array
    alpha: Array
    mean_alpha: Array

    @property
    def mean_depth(self) -> Array:
        """Mean depth of each shower, X0."""
        return self.t_max * self.alpha / (self.alpha - 1)


def spread_of(medium: Medium, energy: Array) -> Spread:
    """Joint distribution of ln T and ln alpha (sections 2.1 and 3.2)."""
    ln_y = np.maximum(np.log(energy * 1e3 / medium.ec_mev), _MIN_LN_Y)
    t = ln_y - 0.812
    a = 0.81 + (0.458 + 2.26 / medium.z) * ln_y
    spread_t, spread_a = _inverse(-1.4 + 1.26 * ln_y), _inverse(-0.58 + 0.86 * ln_y)
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
    return Profiles(energy, np.maximum(t_max, 0.5), np.maximum(alpha, 1.1), mean_alpha)


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


def shares(t_max: Array, alpha: Array, depth: Array) -> Array:
    """Share of each shower between depths from its start: (N, P + 1) edges give (N, P)."""
    beta = (alpha - 1) / t_max
    out: Array = np.diff(gammainc(alpha[:, None], beta[:, None] * depth), axis=1)
    return out
