"""How much two files' cells blur the same shower differently, before any physics is compared.

Cells are moved to rings of R_M / 2, and energy is taken as even within a cell. Where cells are not
small beside the rings, it matters whether the shower's axis runs through the middle of a cell or
along its edge: the difference is the binning's and looks like a radial profile that is wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import PHYSICS_SHAPE, Layer, Mesh, rebin
from catalog.showers import Showers, scale_of

_MAXIMUM_X0 = 6.0  # about where an electromagnetic shower of 10 GeV is widest in energy
_RADII, _ANGLES = 200, 96  # points of the probe
_CORE, _TAIL, _CORE_SHARE = 0.25, 0.8, 0.8  # R_M, R_M: radii that hold half; share of the core
_LIMIT = 0.015  # share of the energy at the wrong radius that the gate radial_profile tolerates


def blur_warning(showers: Showers, target: Showers) -> str | None:
    """What to know, and to do, if the two files' cells show one shower at different radii."""
    moved = blur(showers.mesh, target.mesh, target.detector)
    if moved <= _LIMIT:
        return None
    layer = _layer_at_maximum(target.mesh, scale_of(target.detector)[0])
    same = "bin the one as the other is binned"
    if layer.kind == "cartesian" and len(layer.a) == len(layer.b):
        same = f"catalog simulate --cells {len(layer.a) - 1} makes showers as the data are binned"
    return (
        f"cells: those of {showers.source} and {target.source} show one and the same shower with "
        f"{moved:.1%} of its energy at other radii, of which the gate tolerates {_LIMIT:.1%}. "
        f"What fails in the radial direction can be the cells' doing: {same}."
    )


def blur(one: Mesh, other: Mesh, detector: Detector) -> float:
    """Share of one shower's energy that two meshes show at different radii, 0 to 1."""
    x0, rm = scale_of(detector)
    here, there = (_rings(_layer_at_maximum(mesh, x0), x0, rm) for mesh in (one, other))
    return float(0.5 * np.abs(here - there).sum())


def _layer_at_maximum(mesh: Mesh, x0: float) -> Layer:
    return next((it for it in mesh.layers if it.z1 > _MAXIMUM_X0 * x0), mesh.layers[-1])


def _rings(layer: Layer, x0: float, rm: float) -> NDArray[np.float64]:
    """Shares of a shower along the axis in the rings, as this layer's cells show it."""
    cells = _probe(layer, rm).astype(np.float32)[None]
    alone = Mesh((replace(layer, z0=0.0, z1=x0),))
    moved = rebin(cells, alone, PHYSICS_SHAPE.mesh(x0, rm)).reshape(PHYSICS_SHAPE.size)
    return np.asarray(moved.sum((0, 1)), np.float64)


def _probe(layer: Layer, rm: float) -> NDArray[np.float64]:
    """A narrow core and a wide tail (Grindhammer-Peters' radial form) in the layer's cells."""
    u = (np.arange(_RADII) + 0.5) / _RADII
    phi = 2 * np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES - np.pi
    total = np.zeros((len(layer.a) - 1, len(layer.b) - 1))
    for radius, share in ((_CORE, _CORE_SHARE), (_TAIL, 1 - _CORE_SHARE)):
        r, angle = (v.ravel() for v in np.meshgrid(radius * rm * np.sqrt(u / (1 - u)), phi))
        if layer.kind == "polar":
            slow, fast = layer.a[0] + (angle - layer.a[0]) % (2 * np.pi), r
        else:
            slow, fast = r * np.sin(angle), r * np.cos(angle)
        counts, _, _ = np.histogram2d(slow, fast, bins=(np.array(layer.a), np.array(layer.b)))
        total += share * counts / len(r)
    return total.ravel()
