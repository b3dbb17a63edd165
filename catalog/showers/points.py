"""Points summed in the cells of a mesh; shared by point clouds and EDM4hep hits."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import Layer, Mesh
from catalog.showers.geometry import grid

_ACROSS_RM = 7.0  # width of a window, in Moliere radii: 98 % of an EM shower
_CELLS = (25, 51)  # least and most cells across


class Points(NamedTuple):
    """Deposits in the frame of a mesh, each (n, P): mm from its axis and front face, GeV."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    energy: NDArray[np.float64]


def window(detector: Detector) -> Mesh:
    """Layers and square-pitch cells of a detector, an odd number across the shower.

    Raises
    ------
    ValueError
        The detector lacks what that needs.
    """
    cell, layers, depth, rm = (
        detector.cell_mm,
        detector.readout_layers,
        detector.depth_mm,
        detector.rm_mm,
    )
    if cell is None or layers is None or depth is None or rm is None:
        raise ValueError(f"{detector.name} has no cell_mm, readout_layers or stack")
    across = [min(max(math.ceil(_ACROSS_RM * rm / c), _CELLS[0]), _CELLS[1]) // 2 * 2 + 1
              for c in cell]  # fmt: skip
    return grid(layers, depth / layers, across[1], cell[1], across[0], cell[0])


def into_cells(points: Points, mesh: Mesh) -> tuple[NDArray[np.float32], float]:
    """Sum the points of each shower in the cells.

    Returns
    -------
    (n, mesh.voxels) GeV, and the energy that found a cell, GeV
    """
    n = len(points.energy)
    shower, point = np.nonzero(points.energy)
    x, y, z, energy = (values[shower, point] for values in points)
    starts = np.array([layer.z0 for layer in mesh.layers])
    ends = np.array([layer.z1 for layer in mesh.layers])
    layer = np.searchsorted(starts, z, "right") - 1
    cell = np.full(len(z), -1)
    for cut, members, first in _cuts(mesh):
        here = np.isin(layer, members)
        inside = _cell(cut, x[here], y[here])
        offset = np.zeros(len(mesh.layers), np.int64)
        offset[members] = first
        cell[here] = np.where(inside >= 0, inside + offset[layer[here]], -1)
    cell[(layer < 0) | (z >= ends[layer])] = -1
    good = cell >= 0
    flat = shower[good] * mesh.voxels + cell[good]
    total = np.bincount(flat, energy[good], n * mesh.voxels)
    return total.reshape(n, mesh.voxels).astype(np.float32), float(energy[good].sum())


def centres(mesh: Mesh) -> NDArray[np.float64]:
    """(voxels, 3): x, y, depth of the middle of each cell, mm."""
    found = []
    for layer in mesh.layers:
        a, b = (np.convolve(edges, (0.5, 0.5), "valid") for edges in (layer.a, layer.b))
        slow, fast = (v.ravel() for v in np.meshgrid(a, b, indexing="ij"))
        if layer.kind == "polar":
            slow, fast = fast * np.sin(slow), fast * np.cos(slow)
        depth = np.full(len(slow), (layer.z0 + layer.z1) / 2)
        found.append(np.stack([fast, slow, depth], axis=1))
    return np.concatenate(found)


def _cuts(mesh: Mesh) -> list[tuple[Layer, NDArray[np.int64], NDArray[np.int64]]]:
    """Layers that are cut alike: one of them, their numbers, and their first voxels."""
    alike: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    first = 0
    for number, layer in enumerate(mesh.layers):
        alike.setdefault((layer.kind, layer.a, layer.b), []).append((number, first))
        first += layer.cells
    found = []
    for members in alike.values():
        numbers, firsts = np.array(members).T
        found.append((mesh.layers[members[0][0]], numbers, firsts))
    return found


def _cell(cut: Layer, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cell within a layer, -1 outside."""
    slow, fast = (y, x) if cut.kind == "cartesian" else (np.arctan2(y, x), np.hypot(x, y))
    i = np.searchsorted(cut.a, slow, "right") - 1
    j = np.searchsorted(cut.b, fast, "right") - 1
    if cut.kind == "polar":  # the last sector ends where the first begins, at pi itself
        i = np.where(slow == cut.a[-1], len(cut.a) - 2, i)
    n_slow, n_fast = len(cut.a) - 1, len(cut.b) - 1
    inside = (i >= 0) & (i < n_slow) & (j >= 0) & (j < n_fast)
    return np.where(inside, i * n_fast + j, -1)
