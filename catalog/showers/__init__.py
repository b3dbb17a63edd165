"""Showers: the mesh they are binned on, and one reader per file format."""

from catalog.domain.mesh import PHYSICS_SHAPE, Layer, Mesh, Shape, polar_shape, rebin
from catalog.showers.showerset import Rows, Showers, ShowerSet, fraction_of, scale_of

__all__ = [
    "PHYSICS_SHAPE", "Layer", "Mesh", "Rows", "Shape", "ShowerSet", "Showers", "fraction_of",
    "polar_shape", "rebin", "scale_of",
]  # fmt: skip
