"""Showers: the mesh they are binned on, and one reader per file format."""

from catalog.domain.mesh import PHYSICS_SHAPE, Layer, Mesh, Shape, polar_shape, rebin
from catalog.showers.showerset import ShowerSet

__all__ = ["PHYSICS_SHAPE", "Layer", "Mesh", "Shape", "ShowerSet", "polar_shape", "rebin"]
