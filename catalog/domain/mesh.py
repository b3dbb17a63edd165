"""Where shower energy is binned: layers along the shower, and cells in each layer.

A mesh is a stack of layers from the front face (z = 0) inwards. Each layer is cut either into
rectangular cells (y, x) or into rings (phi, r) around the beam axis. Lengths are mm, angles rad.
Voxels are flattened layer by layer with the last axis fastest, the order of the CaloChallenge
files (r fastest) and of C-ordered (layer, y, x) arrays alike.

`Shape` is a mesh in units of the detector (depth in X0, radius in R_M): one shape fits every
calorimeter, only its cells change size (the rule of MetaHEP, 10.1016/j.physletb.2023.138079).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Kind = Literal["cartesian", "polar"]
# Sub-cells per axis when cells of different kinds share area (error below 1 %). Two even numbers
# that differ: no sub-cell centre then falls on an axis or on a diagonal, where phi bins meet.
_SPLIT_A, _SPLIT_B = 12, 14
_CLOSED = 1e-3  # rad; a smaller gap between the last sector and the first is rounding


@dataclass(frozen=True)
class Layer:
    """One readout layer: its depth range and its transverse cells.

    `a` are the edges of the slow axis (y in mm, or phi in rad), `b` of the fast one (x, or r).
    """

    z0: float
    z1: float
    kind: Kind
    a: tuple[float, ...]
    b: tuple[float, ...]

    @property
    def cells(self) -> int:
        """Number of cells in the layer."""
        return (len(self.a) - 1) * (len(self.b) - 1)


@dataclass(frozen=True)
class Mesh:
    """A stack of layers in mm."""

    layers: tuple[Layer, ...]

    @property
    def voxels(self) -> int:
        """Number of voxels in one shower."""
        return sum(layer.cells for layer in self.layers)

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(layer, slow, fast) if every layer is cut alike, else None."""
        first = self.layers[0]
        cut = (first.kind, first.a, first.b)
        if any((layer.kind, layer.a, layer.b) != cut for layer in self.layers):
            return None
        return (len(self.layers), len(first.a) - 1, len(first.b) - 1)

    @property
    def depth_mm(self) -> float:
        """Depth of the back face."""
        return self.layers[-1].z1


@dataclass(frozen=True)
class Shape:
    """A mesh in units of the detector: depth edges in X0, transverse edges in R_M.

    For a polar shape `b_rm` are radii and `a` are angles in rad; for a cartesian one both `a` and
    `b_rm` are in R_M.
    """

    kind: Kind
    depth_x0: tuple[float, ...]
    a: tuple[float, ...]
    b_rm: tuple[float, ...]

    def mesh(self, x0_mm: float, rm_mm: float) -> Mesh:
        """The mesh in mm for a detector of radiation length `x0_mm` and Moliere radius `rm_mm`."""
        a = tuple(v * rm_mm for v in self.a) if self.kind == "cartesian" else self.a
        b = tuple(v * rm_mm for v in self.b_rm)
        edges = [v * x0_mm for v in self.depth_x0]
        return Mesh(tuple(Layer(z0, z1, self.kind, a, b) for z0, z1 in pairwise(edges)))

    @property
    def size(self) -> tuple[int, int, int]:
        """(layers, slow cells, fast cells)."""
        return (len(self.depth_x0) - 1, len(self.a) - 1, len(self.b_rm) - 1)


def polar_shape(depth_x0: tuple[float, ...], n_phi: int, radius_rm: tuple[float, ...]) -> Shape:
    """A polar shape with `n_phi` equal angular bins."""
    phi = tuple(float(v) for v in np.linspace(-np.pi, np.pi, n_phi + 1))
    return Shape("polar", depth_x0, phi, radius_rm)


# Every comparison between detectors is made here: 25 layers of 1 X0, 8 sectors, rings of R_M / 2.
PHYSICS_SHAPE = polar_shape(tuple(float(v) for v in range(26)), 8, tuple(0.5 * v for v in range(6)))


def rebin(energies: NDArray[np.float32], source: Mesh, target: Mesh) -> NDArray[np.float32]:
    """Move showers from one mesh to another; energy is shared by overlapping volume.

    Parameters
    ----------
    energies : (N, source.voxels), any energy unit

    Returns
    -------
    (N, target.voxels), same unit. Energy outside the target mesh is lost, and nothing else is.
    """
    if source == target:
        return energies
    moved = overlap(source, target) @ energies.T
    return np.ascontiguousarray(moved.T, dtype=np.float32)


@lru_cache(maxsize=16)
def overlap(source: Mesh, target: Mesh) -> sparse.csr_matrix:
    """Fraction of each source voxel's volume that lies in each target voxel.

    Returns
    -------
    sparse (target.voxels, source.voxels); columns sum to at most 1.
    """
    blocks: list[list[sparse.csr_matrix | None]] = []
    for into in target.layers:
        row: list[sparse.csr_matrix | None] = []
        for out in source.layers:
            shared = min(into.z1, out.z1) - max(into.z0, out.z0)
            if shared <= 0:
                row.append(sparse.csr_matrix((into.cells, out.cells)))
                continue
            plane = _transverse((out.kind, out.a, out.b), (into.kind, into.a, into.b))
            row.append(plane * (shared / (out.z1 - out.z0)))
        blocks.append(row)
    return sparse.csr_matrix(sparse.bmat(blocks, format="csr", dtype=np.float32))


_Cut = tuple[Kind, tuple[float, ...], tuple[float, ...]]


@lru_cache(maxsize=64)
def _transverse(source: _Cut, target: _Cut) -> sparse.csr_matrix:
    """Area overlap of the cells of two layers: (target cells, source cells)."""
    kind_s, a_s, b_s = source
    kind_t, a_t, b_t = target
    n_source = (len(a_s) - 1) * (len(b_s) - 1)
    n_target = (len(a_t) - 1) * (len(b_t) - 1)
    if kind_s == kind_t == "cartesian" or (kind_s == kind_t and a_s == a_t):
        radial = kind_s == "polar"
        slow, fast = _overlap_1d(a_s, a_t, False), _overlap_1d(b_s, b_t, radial)
        return sparse.csr_matrix(np.kron(slow, fast))
    a, b, weight, index = _subcells(kind_s, a_s, b_s)
    if kind_s == "cartesian":
        slow_at, fast_at = np.arctan2(a, b), np.hypot(a, b)
    else:
        slow_at, fast_at = (a, b) if kind_t == "polar" else (b * np.sin(a), b * np.cos(a))
    i = _sector(slow_at, a_t) if kind_t == "polar" else np.searchsorted(a_t, slow_at, "right") - 1
    j = np.searchsorted(b_t, fast_at, "right") - 1
    inside = (i >= 0) & (i < len(a_t) - 1) & (j >= 0) & (j < len(b_t) - 1)
    flat = i * (len(b_t) - 1) + j
    entries = (weight[inside], (flat[inside], index[inside]))
    return sparse.csr_matrix(sparse.coo_matrix(entries, shape=(n_target, n_source)))


def _sector(phi: NDArray[np.float64], edges: tuple[float, ...]) -> NDArray[np.int64]:
    """Index of the sector each angle lies in, wherever either counts phi from.

    Angles beyond the edges are moved by whole turns; of a full circle no angle falls outside, so
    that rounding where it closes loses no energy.
    """
    turn = 2 * np.pi
    wrapped = phi - turn * np.floor((phi - edges[0]) / turn)
    index = np.searchsorted(edges, wrapped, "right") - 1
    if edges[-1] - edges[0] > turn - _CLOSED:
        index = np.clip(index, 0, len(edges) - 2)
    return index


def _overlap_1d(
    source: tuple[float, ...], target: tuple[float, ...], radial: bool
) -> NDArray[np.float64]:
    """Fraction of each source interval (by area if radial) inside each target interval."""
    s, t = np.asarray(source, float), np.asarray(target, float)
    if radial:
        s, t = s**2, t**2
    low = np.maximum(t[:-1, None], s[None, :-1])
    high = np.minimum(t[1:, None], s[None, 1:])
    fraction: NDArray[np.float64] = np.clip(high - low, 0, None) / (s[1:] - s[:-1])[None, :]
    return fraction


def _subcells(
    kind: Kind, a: tuple[float, ...], b: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Centres of equal-area sub-cells: slow, fast, share of the cell, index of the cell."""
    step_a = (np.arange(_SPLIT_A) + 0.5) / _SPLIT_A
    step_b = (np.arange(_SPLIT_B) + 0.5) / _SPLIT_B
    a_edges, b_edges = np.asarray(a, float), np.asarray(b, float)
    if kind == "polar":  # equal area in r means equal steps in r squared
        b_edges = b_edges**2
    slow = a_edges[:-1, None] + step_a * np.diff(a_edges)[:, None]
    fast = b_edges[:-1, None] + step_b * np.diff(b_edges)[:, None]
    if kind == "polar":
        fast = np.sqrt(fast)
    na, nb = len(a) - 1, len(b) - 1
    full = (na, nb, _SPLIT_A, _SPLIT_B)
    s = np.broadcast_to(slow[:, None, :, None], full).ravel()
    f = np.broadcast_to(fast[None, :, None, :], full).ravel()
    cell = np.broadcast_to(np.arange(na * nb).reshape(na, nb, 1, 1), full).ravel()
    return s, f, np.full(s.size, 1.0 / (_SPLIT_A * _SPLIT_B)), cell
