"""The CaloGAN layout (arXiv 1712.10321, DOI 10.17632/pvn3xc3wy5.1).

`energy` (N,1) in GeV; `layer_0` (N,3,96), `layer_1` (N,12,12), `layer_2` (N,12,6) deposits in MeV,
axes (phi, eta); `overflow` (N,3) MeV left the cells and is not used. Cells (eta, phi, depth) are
5 x 160 x 90, 40 x 40 x 347 and 80 x 40 x 43 mm: 480 mm across and deep, the stack `pb-lar`.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from catalog.domain import load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile
from catalog.showers.calochallenge import one_column, same_length
from catalog.showers.hdf5 import Table, has, table
from catalog.showers.reader import Asked, Opened, Rows

_SHAPES = {"layer_0": (3, 96), "layer_1": (12, 12), "layer_2": (12, 6)}  # (phi, eta)
_DEPTHS_MM = (90.0, 347.0, 43.0)
_WIDTH_MM = 480.0


class CaloGanReader:
    """Reads the training data of CaloGAN."""

    looks_for = "datasets energy (N,1), layer_0 (N,3,96), layer_1 (N,12,12), layer_2 (N,12,6)"

    def recognises(self, file: object) -> bool:
        """The energy and the three layers are there."""
        return has(file, "energy", *_SHAPES)

    def open(self, file: Any, asked: Asked) -> Opened:
        """Check the shapes; the file does not say which particle."""
        path = asked.path
        layers = [table(file, key, path) for key in _SHAPES]
        for layer, (key, shape) in zip(layers, _SHAPES.items(), strict=True):
            if layer.shape[1:] != shape:
                raise BadFile(
                    f"{path}: {key} has shape {layer.shape}; expected (N, phi, eta) = (N, "
                    f"{shape[0]}, {shape[1]})",
                    "are its axes swapped? transpose it to (phi, eta)",
                )
        energy = one_column(table(file, "energy", path))
        rows = same_length(layers[0], *layers[1:], energy)
        scales, energy_scale = [layer.gev("MeV") for layer in layers], energy.gev("GeV")

        def fetch(start: int, stop: int) -> Rows:
            cells = _flat(layers, scales, start, stop)
            incident = energy.column(start, stop) * energy_scale
            return Rows(cells, incident, np.zeros(stop - start))

        detector = asked.detector or load_detector("pb-lar")
        return Opened(rows, _mesh(), detector, asked.need_pdg(), fetch, layers[0].align)


READER = CaloGanReader()


def _flat(
    layers: list[Table], scales: list[float], start: int, stop: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(stop - start, 504) GeV: layer, then phi, then eta."""
    n = stop - start
    parts = [
        layer.energies(start, stop, gev).reshape(n, -1)
        for layer, gev in zip(layers, scales, strict=True)
    ]
    return np.concatenate(parts, axis=1)


def _mesh() -> Mesh:
    """phi is the slow axis (y), eta the fast one (x); both centred on the shower's axis."""
    ends = list(accumulate(_DEPTHS_MM))
    layers = []
    for (n_phi, n_eta), z1, depth in zip(_SHAPES.values(), ends, _DEPTHS_MM, strict=True):
        y = tuple((i / n_phi - 0.5) * _WIDTH_MM for i in range(n_phi + 1))
        x = tuple((i / n_eta - 0.5) * _WIDTH_MM for i in range(n_eta + 1))
        layers.append(Layer(z1 - depth, z1, "cartesian", y, x))
    return Mesh(tuple(layers))
