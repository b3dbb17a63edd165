"""Materials by composition: radiation length, critical energies, Moliere radius, ionisation."""

from __future__ import annotations

from functools import cached_property, lru_cache
from importlib.resources import files

import yaml
from pydantic import Field, PositiveFloat, field_validator

from catalog.domain import pdg
from catalog.domain.base import Frozen


class Material(Frozen):
    """A material as a mixture of elements; see materials.yaml for the sources."""

    density: PositiveFloat = Field(description="g/cm3")
    elements: dict[str, PositiveFloat] = Field(min_length=1, description="mass fractions")
    tabulated_ec_mev: PositiveFloat | None = Field(None, alias="ec_mev")
    gas: bool = False
    also: tuple[str, ...] = ()

    @field_validator("elements")
    @classmethod
    def _known_and_normalised(cls, fractions: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(fractions) - set(pdg.elements()))
        if unknown:
            raise ValueError(f"unknown elements: {', '.join(unknown)}")
        total = sum(fractions.values())
        if not 0.98 < total < 1.02:
            raise ValueError(f"mass fractions add up to {total:.3f}, not to 1")
        return {symbol: w / total for symbol, w in fractions.items()}

    @cached_property
    def z(self) -> float:
        """Mean atomic number, by mass."""
        return pdg.mean_of(self.elements, "z")

    @cached_property
    def a(self) -> float:
        """Mean atomic mass, by mass."""
        return pdg.mean_of(self.elements, "a")

    @cached_property
    def x0_g(self) -> float:
        """Radiation length in g/cm2."""
        return pdg.harmonic_mean_of(self.elements, "x0_g")

    @cached_property
    def x0_cm(self) -> float:
        """Radiation length in cm."""
        return self.x0_g / self.density

    @cached_property
    def lambda_cm(self) -> float:
        """Nuclear interaction length in cm."""
        return pdg.harmonic_mean_of(self.elements, "nuclear_g") / self.density

    @cached_property
    def ec_mev(self) -> float:
        """Critical energy after Dovzhenko and Pomanskii (the one of Grindhammer and Peters)."""
        return self.tabulated_ec_mev or pdg.dovzhenko_ec_mev(self.x0_g, self.z, self.a)

    @cached_property
    def ec_rossi_mev(self) -> float:
        """Critical energy in Rossi's definition: 1/R_M of the elements adds (PDG eq. 34.38)."""
        table = pdg.elements()
        inverse = sum(
            w * pdg.rossi_ec_mev(table[s].z, self.gas) / table[s].x0_g
            for s, w in self.elements.items()
        )
        return self.x0_g * inverse

    @cached_property
    def mip_mev_cm(self) -> float:
        """Energy loss of a minimum-ionising particle in MeV/cm (2 to 4 % high)."""
        return pdg.mean_of(self.elements, "mip_mev_cm2_g") * self.density


@lru_cache(maxsize=1)
def materials() -> dict[str, Material]:
    """Materials by name."""
    text = files("catalog.domain").joinpath("materials.yaml").read_text(encoding="utf-8")
    return {name: Material.model_validate(row) for name, row in yaml.safe_load(text).items()}


def material_name(name: str) -> str:
    """The catalog's name of a material that may be given by another one (G4_W is W).

    Raises
    ------
    ValueError
        Unknown material; lists the known ones.
    """
    for known, material in materials().items():
        if name == known or name in material.also:
            return known
    raise ValueError(f"unknown material {name!r}; known: {', '.join(sorted(materials()))}")
