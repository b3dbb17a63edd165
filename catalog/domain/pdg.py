"""Radiation length, critical energy and ionisation of elements, by the formulas of the PDG.

Source: Review of Particle Physics, "Passage of particles through matter" (equation numbers of the
2022 edition). Areal lengths are g/cm2, energies MeV.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from math import exp, log

import yaml
from pydantic import PositiveFloat, PositiveInt

from catalog.domain.base import Frozen

SCALE_ENERGY_MEV = 21.2052  # Es of multiple scattering: m_e c^2 sqrt(4 pi / alpha)
_ELECTRON_MEV = 0.51099895
_ALPHA = 1 / 137.036
# L_rad and L'_rad of the lightest elements, where the Thomas-Fermi forms fail (PDG table 34.2).
_LIGHT = {1: (5.31, 6.144), 2: (4.79, 5.621), 3: (4.74, 5.805), 4: (4.71, 5.924)}
_MIP_BETA_GAMMA = 3.5  # where ionisation is least, within 1 % for every element


class Element(Frozen):
    """One element: atomic number, atomic mass, mean excitation energy."""

    z: PositiveInt
    a: PositiveFloat
    excitation_ev: PositiveFloat
    lambda_g: PositiveFloat | None = None

    @property
    def x0_g(self) -> float:
        """Radiation length, long form (eq. 34.25): the short form is up to 2.4 % off."""
        a2 = (_ALPHA * self.z) ** 2
        coulomb = a2 * (
            1 / (1 + a2) + 0.20206 - 0.0369 * a2 + 0.0083 * a2**2 - 0.002 * a2**3
        )  # Davies, Bethe and Maximon (eq. 34.26)
        rad, rad_prime = _LIGHT.get(
            self.z, (log(184.15 * self.z ** (-1 / 3)), log(1194 * self.z ** (-2 / 3)))
        )
        return 716.408 * self.a / (self.z**2 * (rad - coulomb) + self.z * rad_prime)

    @property
    def nuclear_g(self) -> float:
        """Nuclear interaction length: tabulated by the PDG, else 37.8 A^0.312 (good to 2 %)."""
        return self.lambda_g or 37.8 * self.a**0.312

    @property
    def mip_mev_cm2_g(self) -> float:
        """Least ionisation loss (eq. 34.5 without the density effect, so 2 to 4 % high)."""
        beta2 = _MIP_BETA_GAMMA**2 / (1 + _MIP_BETA_GAMMA**2)
        # W_max of a heavy projectile; 2 m c^2 (beta gamma)^2 enters the logarithm twice.
        w_max = 2 * _ELECTRON_MEV * _MIP_BETA_GAMMA**2
        logarithm = log(w_max / (self.excitation_ev * 1e-6)) - beta2
        return 0.307075 * self.z / self.a / beta2 * logarithm


@lru_cache(maxsize=1)
def elements() -> dict[str, Element]:
    """Elements by symbol."""
    text = files("catalog.domain").joinpath("elements.yaml").read_text(encoding="utf-8")
    return {symbol: Element.model_validate(row) for symbol, row in yaml.safe_load(text).items()}


def mean_of(fractions: Mapping[str, float], name: str) -> float:
    """Mean by mass of a property of the elements (Z, A, ionisation per g/cm2)."""
    return sum(w * float(getattr(elements()[symbol], name)) for symbol, w in fractions.items())


def harmonic_mean_of(fractions: Mapping[str, float], name: str) -> float:
    """Harmonic mean by mass: how radiation and interaction lengths of compounds add (eq. 34.27)."""
    return 1 / sum(w / float(getattr(elements()[s], name)) for s, w in fractions.items())


def dovzhenko_ec_mev(x0_g: float, z: float, a: float) -> float:
    """Critical energy, 2.66 (X0 Z/A)^1.1 MeV (Dovzhenko and Pomanskii): the one of GFLASH."""
    return 2.66 * exp(1.1 * log(x0_g * z / a))


def rossi_ec_mev(z: float, gas: bool = False) -> float:
    """Critical energy in Rossi's definition (PDG fit, rms 2.2 % for solids, 4 % for gases)."""
    return 710 / (z + 0.92) if gas else 610 / (z + 1.24)
