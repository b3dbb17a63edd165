"""A detector in physical terms; what its layer stack amounts to for a shower (X0, Ec, R_M)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from catalog.domain.base import Frozen
from catalog.domain.materials import Material, material_name, materials
from catalog.domain.pdg import SCALE_ENERGY_MEV

# DD4hep's DetType flags, without their prefix `DetType_`.
Flag = Literal[
    "CALORIMETER", "ELECTROMAGNETIC", "HADRONIC", "BARREL", "ENDCAP", "FORWARD", "TRACKER", "MUON"
]


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

    repeat: PositiveInt = Field(le=10_000)
    slabs: tuple[Slab, ...] = Field(min_length=1, max_length=10_000)


class ShowerResponse(Frozen):
    """What a parametrised simulation cannot derive from the stack; each a property of the detector.

    stochastic : c of sigma/E = c / sqrt(E/GeV), the sampling fluctuations
    lateral_scale : factor on the Moliere radius where spots are placed (GFLASH showers are narrow)
    axis_jitter_rm : spread of the shower axis at 10 GeV in R_M; falls as 1/sqrt(E)
    threshold_mev : visible energy below which a cell reads zero
    """

    stochastic: float = Field(default=0.0, ge=0, lt=1)
    lateral_scale: PositiveFloat = 1.08
    axis_jitter_rm: float = Field(default=0.02, ge=0, lt=1)
    threshold_mev: float = Field(default=0.0, ge=0)
    source: str = ""


class Detector(Frozen):
    """A calorimeter or another subdetector; calorimeters should give their layer stack."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    type: Literal["ecal", "hcal", "tracker", "tpc", "muon", "whole"]
    title: str = ""
    technology: Literal["homogeneous", "sampling", "gas", "silicon", "other"] | None = None
    stack: tuple[Stack, ...] = Field((), max_length=1000)
    readout_layers: PositiveInt | None = None
    cell_mm: tuple[PositiveFloat, PositiveFloat] | None = None
    sampling_fraction: float | None = Field(None, gt=0, le=1)
    sides: PositiveInt | None = Field(default=None, description="sides of the polyhedron")
    rmin_mm: PositiveFloat | None = None
    rmax_mm: PositiveFloat | None = None
    half_length_mm: PositiveFloat | None = None
    field_t: float | None = None
    dd4hep: str | None = None
    flags: tuple[Flag, ...] = ()
    response: ShowerResponse = ShowerResponse()
    source: str = ""

    @model_validator(mode="after")
    def _sensible(self) -> Detector:
        if self.rmin_mm and self.rmax_mm and self.rmin_mm >= self.rmax_mm:
            raise ValueError(f"rmin_mm {self.rmin_mm} is not below rmax_mm {self.rmax_mm}")
        if self.stack and not any(slab.active for part in self.stack for slab in part.slabs):
            raise ValueError("no slab of the stack is active: mark what is read out")
        return self

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
        inverse = self._per_mm(lambda m: 1 / (10 * m.x0_cm))
        return None if inverse is None else 1 / inverse

    @cached_property
    def ec_mev(self) -> float | None:
        """Effective critical energy (Dovzhenko), mean over depth in X0 (Grindhammer-Peters A)."""
        inverse = self._per_mm(lambda m: m.ec_mev / (10 * m.x0_cm))
        return None if inverse is None or self.x0_mm is None else inverse * self.x0_mm

    @cached_property
    def ec_rossi_mev(self) -> float | None:
        """Effective critical energy in Rossi's definition (PDG)."""
        inverse = self._per_mm(lambda m: m.ec_rossi_mev / (10 * m.x0_cm))
        return None if inverse is None or self.x0_mm is None else inverse * self.x0_mm

    @cached_property
    def rm_mm(self) -> float | None:
        """Effective Moliere radius: 1/R_M = sum(w Ec/X)/Es by mass (Grindhammer-Peters, eq. A)."""
        inverse = self._per_mm(lambda m: m.ec_mev / (10 * m.x0_cm))
        return None if inverse is None else SCALE_ENERGY_MEV / inverse

    @cached_property
    def rm_rossi_mm(self) -> float | None:
        """Effective Moliere radius with Rossi's critical energy: the one that PDG tabulates."""
        inverse = self._per_mm(lambda m: m.ec_rossi_mev / (10 * m.x0_cm))
        return None if inverse is None else SCALE_ENERGY_MEV / inverse

    @cached_property
    def lambda_mm(self) -> float | None:
        """Effective nuclear interaction length."""
        inverse = self._per_mm(lambda m: 1 / (10 * m.lambda_cm))
        return None if inverse is None else 1 / inverse

    @cached_property
    def depth_mm(self) -> float | None:
        """Total depth of the stack."""
        slabs = self._slabs()
        return sum(mm for mm, _ in slabs) if slabs else None

    def slabs(self) -> tuple[Slab, ...]:
        """Every slab from the front face inwards, repeats written out."""
        return tuple(slab for part in self.stack for _ in range(part.repeat) for slab in part.slabs)

    def _per_mm(self, rate: Callable[[Material], float]) -> float | None:
        """Mean over depth of a rate per mm of material; None without a stack."""
        slabs = self._slabs()
        if not slabs:
            return None
        return sum(mm * rate(materials()[name]) for mm, name in slabs) / sum(mm for mm, _ in slabs)

    def _slabs(self) -> list[tuple[float, str]]:
        return [
            (slab.mm * part.repeat, slab.material) for part in self.stack for slab in part.slabs
        ]
