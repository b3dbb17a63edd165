"""The input domain of a model, and the tensors that carry it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from catalog.domain.base import Frozen
from catalog.domain.detector import Detector
from catalog.domain.mesh import Shape
from catalog.domain.units import Unit
from catalog.domain.vocabulary import detector_names, load_detector

# Ten digits: the longest ids of the PDG's scheme, those of nuclei.
PdgId = Annotated[int, Field(ge=-9_999_999_999, le=9_999_999_999)]


def _ordered(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    if pair is not None and not pair[0] <= pair[1]:
        raise ValueError(f"a range is [low, high], got [{pair[0]}, {pair[1]}]")
    return pair


class Simulator(Frozen):
    """What made the training data."""

    name: str
    version: str = ""
    physics: str = ""
    seeds: str = ""


class ShapeSpec(Frozen):
    """Voxels in units of the detector (X0 along the shower, R_M across; phi in rad)."""

    kind: Literal["cartesian", "polar"]
    depth_x0: tuple[float, ...] = Field(min_length=2, max_length=1001)
    a: tuple[float, ...] = Field(min_length=2, max_length=1001)
    b_rm: tuple[float, ...] = Field(min_length=2, max_length=1001)

    @field_validator("depth_x0", "a", "b_rm")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(edges)):
            raise ValueError("edges must rise")
        return edges

    @model_validator(mode="after")
    def _in_front(self) -> ShapeSpec:
        if self.depth_x0[0] < 0:
            raise ValueError(f"depth_x0 begins at {self.depth_x0[0]}; the front face is at 0")
        if self.kind == "polar" and self.b_rm[0] < 0:
            raise ValueError(f"b_rm are radii of a polar shape, but begin at {self.b_rm[0]}")
        if self.kind == "polar" and self.a[-1] - self.a[0] > 2 * math.pi + 1e-6:
            raise ValueError(f"a spans {self.a[-1] - self.a[0]:.6g} rad, more than a full turn")
        return self

    def shape(self) -> Shape:
        """The mesh as the readers and observables use it."""
        return Shape(self.kind, self.depth_x0, self.a, self.b_rm)


class Domain(Frozen):
    """What the input means. `detector` may be a name of the vocabulary or a full description."""

    detector: Detector
    particles: tuple[PdgId, ...] = Field((), max_length=1000, description="PDG ids")
    energy_gev: tuple[PositiveFloat, PositiveFloat] | None = None
    spectrum: Literal["log-uniform", "uniform", "discrete", "physical"] | None = None
    theta_rad: tuple[float, float] | None = None
    shape: ShapeSpec | None = None
    threshold_gev: Annotated[float, Field(ge=0)] | None = None
    simulator: Simulator | None = None
    notes: str = ""

    @field_validator("detector", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in detector_names():
                raise ValueError(f"unknown detector; known: {', '.join(detector_names())}")
            return load_detector(value)
        return value

    @model_validator(mode="after")
    def _ranges(self) -> Domain:
        _ordered(self.energy_gev)
        _ordered(self.theta_rad)
        return self


class TensorSpec(Frozen):
    """One input or output of a model.

    `shape` has -1 where the size is free (the batch). `components` name the entries of the last
    axis of a condition, e.g. energy_gev.
    """

    name: str
    dtype: Literal["float32", "float64", "float16", "int64", "int32", "bool"]
    shape: tuple[Annotated[int, Field(ge=-1)], ...]
    role: Literal["noise", "condition", "features", "showers", "prediction"]
    unit: Unit = "1"
    components: tuple[str, ...] = ()
    distribution: Literal["normal", "uniform"] | None = None
    meaning: str = ""
