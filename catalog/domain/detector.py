"""A detector in physical terms, and the radiation length and Moliere radius of its layer stack."""

from __future__ import annotations

from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from catalog.domain.base import Frozen

_SCALE_ENERGY_MEV = 21.2052  # Es of multiple scattering, PDG "Passage of particles through matter"


class Material(Frozen):
    """Constants of one material; see materials.yaml for their sources."""

    density: PositiveFloat
    z: PositiveFloat
    x0_cm: PositiveFloat
    ec_mev: PositiveFloat
    also: tuple[str, ...] = ()


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


class Slab(Frozen):
    """One slice of material; `active` slices are read out."""

    material: str
    mm: PositiveFloat
    active: bool = False

    @field_validator("material")
    @classmethod
    def _known_material(cls, name: str) -> str:
        return material_name(name)


class Stack(Frozen):
    """Slabs that repeat along the shower."""

    repeat: PositiveInt
    slabs: tuple[Slab, ...] = Field(min_length=1)


class Detector(Frozen):
    """A calorimeter or another subdetector; calorimeters should give their layer stack."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    type: Literal["ecal", "hcal", "tracker", "tpc", "muon", "whole"]
    title: str = ""
    technology: Literal["homogeneous", "sampling", "gas", "silicon", "other"] | None = None
    stack: tuple[Stack, ...] = ()
    readout_layers: PositiveInt | None = None
    cell_mm: tuple[PositiveFloat, PositiveFloat] | None = None
    sampling_fraction: float | None = Field(None, gt=0, le=1)
    field_t: float | None = None
    dd4hep: str | None = None
    source: str = ""

    @cached_property
    def materials(self) -> tuple[str, ...]:
        """Names of the materials, thickest in radiation lengths first."""
        depth: dict[str, float] = {}
        for mm, material in self._slabs():
            depth[material] = depth.get(material, 0.0) + mm / materials()[material].x0_cm
        return tuple(sorted(depth, key=lambda name: -depth[name]))

    @cached_property
    def x0_mm(self) -> float | None:
        """Effective radiation length: sum(d) / sum(d / X0) over the stack."""
        slabs = self._slabs()
        if not slabs:
            return None
        radiation_lengths = sum(mm / (10 * materials()[name].x0_cm) for mm, name in slabs)
        return sum(mm for mm, _ in slabs) / radiation_lengths

    @cached_property
    def rm_mm(self) -> float | None:
        """Effective Moliere radius: 1/R_M = sum(w Ec/X)/Es by mass (Grindhammer-Peters, eq. A)."""
        slabs = self._slabs()
        if not slabs:
            return None
        inverse = sum(
            mm * materials()[name].ec_mev / (10 * materials()[name].x0_cm) for mm, name in slabs
        )
        return _SCALE_ENERGY_MEV * sum(mm for mm, _ in slabs) / inverse

    @cached_property
    def depth_mm(self) -> float | None:
        """Total depth of the stack."""
        slabs = self._slabs()
        return sum(mm for mm, _ in slabs) if slabs else None

    def _slabs(self) -> list[tuple[float, str]]:
        return [
            (slab.mm * part.repeat, slab.material) for part in self.stack for slab in part.slabs
        ]
