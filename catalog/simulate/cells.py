"""From points in space to voxels of a mesh."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.domain.mesh import Layer, Mesh

Index = NDArray[np.int64]


class CellFinder:
    """Finds the voxel of points whose layer is known; the same cut of many layers is found once."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.first = np.cumsum([0, *(layer.cells for layer in mesh.layers)])[:-1]
        cuts: dict[tuple[Any, ...], int] = {}
        kind = [cuts.setdefault((layer.kind, layer.a, layer.b), len(cuts)) for layer in mesh.layers]
        self._cut_of_layer = np.array(kind)
        self._cuts = [mesh.layers[kind.index(i)] for i in range(len(cuts))]

    def find(
        self, layer: Index, x: NDArray[np.float32], y: NDArray[np.float32]
    ) -> NDArray[np.int32]:
        """Index of each point's cell within its layer, -1 outside.

        `layer` must be layers of the mesh; of a mesh whose layers are cut alike it is not read.
        """
        if len(self._cuts) == 1:
            return _place(self._cuts[0], x, y)
        out = np.full(len(layer), -1, np.int32)
        cut_of_point = self._cut_of_layer[layer]
        for i, cut in enumerate(self._cuts):
            chosen = np.flatnonzero(cut_of_point == i)
            out[chosen] = _place(cut, x[chosen], y[chosen])
        return out


def _place(cut: Layer, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.int32]:
    slow, fast = (y, x) if cut.kind == "cartesian" else (np.arctan2(y, x), np.hypot(x, y))
    i, j = _bin(cut.a, slow), _bin(cut.b, fast)
    n_slow, n_fast = len(cut.a) - 1, len(cut.b) - 1
    # One unsigned comparison finds both "below the first" and "above the last" cell.
    inside = (i.view(np.uint32) < n_slow) & (j.view(np.uint32) < n_fast)
    i *= np.int32(n_fast)
    i += j
    i[~inside] = -1
    return i


def _bin(edges: tuple[float, ...], values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Index of the bin of each value: negative below the first edge, too large above the last."""
    low, width = _even(edges)
    if width is None:
        found = np.searchsorted(np.asarray(edges, np.float32), values, "right")
        return (found - 1).astype(np.int32)
    scaled = (values - np.float32(low)) * np.float32(1 / width)
    # Clipped first: a float beyond the range of int32 has no defined integer.
    np.clip(scaled, -1, len(edges), out=scaled)
    index: NDArray[np.int32] = np.floor(scaled, out=scaled).astype(np.int32)
    return index


@lru_cache(maxsize=256)
def _even(edges: tuple[float, ...]) -> tuple[float, float | None]:
    """First edge, and the width of the bins if they are all alike."""
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    even = edges[0] + width * np.arange(len(edges))
    return edges[0], width if np.allclose(edges, even, rtol=0, atol=1e-6 * width) else None
