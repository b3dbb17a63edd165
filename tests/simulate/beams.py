"""Meshes and beams for the tests."""

from __future__ import annotations

import numpy as np

from catalog.domain.mesh import Layer, Mesh
from catalog.simulate.beam import Beam


def beam(pdg: int, energy: float, n: int, theta: float = 0.0, x: float = 0.0) -> Beam:
    """n particles of one energy."""
    impact = np.tile([x, 0.0], (n, 1))
    return Beam(pdg, np.full(n, energy), np.full(n, theta), impact)


def rings(edges_mm: list[float], depth_mm: float, layers: int = 1) -> Mesh:
    """One sector, rings around the axis, equal layers."""
    phi = (-np.pi, np.pi)
    cuts = [(i * depth_mm / layers, (i + 1) * depth_mm / layers) for i in range(layers)]
    return Mesh(tuple(Layer(a, b, "polar", phi, tuple(edges_mm)) for a, b in cuts))
