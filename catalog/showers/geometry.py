"""Where the cells of a flat file lie, and how a mesh is written into one.

Attributes of a file: `mesh_shape` (layer, y, x), `cell_mm` (x, y) and `layer_mm` describe equal
cells; `mesh` is a JSON of any mesh and comes first; `detector` names one of the vocabulary;
`detector_json` describes any other; `pdg` is the particle; `provenance` tells what made it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from pydantic import ValidationError

from catalog.domain import Detector, detector_names, load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile, CatalogError
from catalog.showers.hdf5 import attribute
from catalog.showers.reader import Asked
from catalog.validation import explain

_MAX_CELLS = 1000  # per axis
_MAX_SIZE_MM = 1e6


@dataclass(frozen=True)
class Geometry:
    """Where the cells of a file lie, whose they are, and how we know."""

    mesh: Mesh
    detector: Detector
    pdg: int | None
    where: str


def grid(layers: int, depth: float, ny: int, cell_y: float, nx: int, cell_x: float) -> Mesh:
    """Equal layers of equal cells, centred on the axis; lengths in mm."""
    sizes = (depth, cell_y, cell_x)
    if not all(0 < size < _MAX_SIZE_MM for size in sizes):
        raise CatalogError("cells and layers must have positive sizes")
    if not all(0 < n <= _MAX_CELLS for n in (layers, ny, nx)):
        raise CatalogError(f"a mesh has 1 to {_MAX_CELLS} cells per axis, not {layers, ny, nx}")
    y = tuple((i - ny / 2) * cell_y for i in range(ny + 1))
    x = tuple((i - nx / 2) * cell_x for i in range(nx + 1))
    return Mesh(tuple(Layer(i * depth, (i + 1) * depth, "cartesian", y, x) for i in range(layers)))


def rings(edges_mm: list[float], n_phi: int, z0: float, z1: float) -> Layer:
    """One layer of rings: radii in mm, `n_phi` equal sectors from -pi to pi."""
    phi = tuple(float(v) for v in np.linspace(-np.pi, np.pi, n_phi + 1))
    return Layer(z0, z1, "polar", phi, tuple(float(v) for v in edges_mm))


@lru_cache(maxsize=1)
def published_sets() -> dict[int, Any]:
    """Geometry of the published CaloChallenge sets by number of voxels."""
    text = files("catalog.showers").joinpath("calochallenge.yaml").read_text(encoding="utf-8")
    table: dict[int, Any] = yaml.safe_load(text)
    return table


def from_voxel_count(voxels: int) -> Geometry | None:
    """One of the published CaloChallenge sets."""
    known = published_sets().get(voxels)
    if known is None:
        return None
    detector = load_detector(known["detector"])
    cut = known["layers"] * known["repeat"]
    # Set 1 publishes no depths; one mm per layer is only a label there (its detector has no X0).
    step = (detector.depth_mm or float(len(cut))) / len(cut)
    layers = tuple(
        rings(layer["r_mm"], layer["alpha"], i * step, (i + 1) * step)
        for i, layer in enumerate(cut)
    )
    return Geometry(Mesh(layers), detector, known["pdg"], known["name"])


def from_detector(asked: Asked, voxels: int) -> Geometry | None:
    """Square cells of the detector the user named."""
    detector, path = asked.detector, asked.path
    if detector is None or not detector.readout_layers or not detector.cell_mm:
        return None
    side = round((voxels / detector.readout_layers) ** 0.5)
    if side * side * detector.readout_layers != voxels:
        raise BadFile(
            f"{path}: {voxels} voxels are not {detector.readout_layers} layers of n x n cells, as "
            f"detector {detector.name!r} would have",
            "check readout_layers of the detector",
        )
    depth = (detector.depth_mm or float(detector.readout_layers)) / detector.readout_layers
    cell_x, cell_y = detector.cell_mm
    mesh = grid(detector.readout_layers, depth, side, cell_y, side, cell_x)
    return Geometry(mesh, detector, None, f"detector {detector.name}")


def from_attributes(file: h5py.File, asked: Asked) -> Geometry | None:
    """Geometry from the attributes of the file itself; None if it has none."""
    path = asked.path
    text = attribute(file, "mesh", path)
    try:
        mesh = decode_mesh(str(text)) if text is not None else _regular(file, asked)
    except (ValueError, TypeError, KeyError, RecursionError, CatalogError) as exc:
        raise BadFile(
            f"{path}: bad geometry attributes: {_short(exc)}",
            "mesh_shape is (layer, y, x), cell_mm (x, y) and layer_mm one number, all positive",
        ) from exc
    if mesh is None:
        return None
    return Geometry(mesh, _attributed_detector(file, asked), _pdg(file, asked), "its attributes")


def _regular(file: h5py.File, asked: Asked) -> Mesh | None:
    shape, cell, depth = (
        attribute(file, name, asked.path) for name in ("mesh_shape", "cell_mm", "layer_mm")
    )
    if shape is None or cell is None or depth is None:
        return None
    layers, ny, nx = (int(v) for v in shape)
    cell_x, cell_y = (float(v) for v in cell)
    return grid(layers, float(depth), ny, cell_y, nx, cell_x)


def _attributed_detector(file: h5py.File, asked: Asked) -> Detector:
    if asked.detector is not None:
        return asked.detector
    text = attribute(file, "detector_json", asked.path)
    if text is not None:
        try:
            return Detector.model_validate_json(str(text))
        except ValidationError as exc:
            raise BadFile(
                f"{asked.path}: detector_json: {'; '.join(explain(exc)[:3])}",
                "remove the attribute and describe the detector: --detector FILE.yaml",
            ) from exc
    name = str(attribute(file, "detector", asked.path) or "")
    if name not in detector_names():
        raise BadFile(
            f"{asked.path}: its detector {name[:80]!r} is not in the vocabulary",
            "describe it: --detector FILE.yaml",
        )
    return load_detector(name)


def _pdg(file: h5py.File, asked: Asked) -> int | None:
    given = attribute(file, "pdg", asked.path)
    if given is None:
        return None
    if not isinstance(given, int):
        raise BadFile(
            f"{asked.path}: bad geometry attributes: pdg is {str(given)[:40]!r}",
            "pdg is one whole number, 11 for an electron",
        )
    return given


def is_parametrised(file: h5py.File, path: Path) -> bool:
    """Whether a file says, as those of `catalog simulate` do, that it is no full simulation."""
    return "not full simulation" in str(attribute(file, "provenance", path) or "").lower()


def encode_mesh(mesh: Mesh) -> str:
    """Any mesh as a short JSON; layers that are cut alike share their edges. Exact."""
    cuts: dict[tuple[Any, ...], int] = {}
    layers = []
    for layer in mesh.layers:
        number = cuts.setdefault((layer.kind, layer.a, layer.b), len(cuts))
        layers.append([layer.z0, layer.z1, number])
    return json.dumps({"cuts": list(cuts), "layers": layers}, separators=(",", ":"))


def decode_mesh(text: str) -> Mesh:
    """The mesh of `encode_mesh`.

    Raises
    ------
    ValueError, TypeError, KeyError, RecursionError
        Not such a JSON, or edges that do not increase.
    """
    document = json.loads(text)
    layers = []
    for z0, z1, number in document["layers"]:
        kind, a, b = document["cuts"][number]
        if kind not in ("cartesian", "polar"):
            raise ValueError(f"cells of kind {str(kind)[:20]!r}")
        layers.append(Layer(float(z0), float(z1), kind, _edges(a), _edges(b)))
    mesh = Mesh(tuple(layers))
    check_mesh(mesh)
    return mesh


def check_mesh(mesh: Mesh) -> None:
    """Refuse edges that do not increase, layers that overlap, and meshes beyond reason."""
    if not 0 < len(mesh.layers) <= _MAX_CELLS:
        raise ValueError(f"{len(mesh.layers)} layers (1 to {_MAX_CELLS} are possible)")
    depth = -math.inf
    for number, layer in enumerate(mesh.layers):
        if not (depth <= layer.z0 < layer.z1 < _MAX_SIZE_MM):
            raise ValueError(f"layer {number} spans {layer.z0} to {layer.z1} mm, out of order")
        depth = layer.z1
        for edges in (layer.a, layer.b):
            steps = np.diff(edges)
            if not (len(steps) and np.isfinite(edges).all() and (steps > 0).all()):
                raise ValueError(f"the cell edges of layer {number} do not increase")
        if layer.kind == "polar" and layer.b[0] < 0:
            raise ValueError(f"layer {number} has a negative radius")


def _edges(values: list[Any]) -> tuple[float, ...]:
    if not 2 <= len(values) <= _MAX_CELLS + 1:
        raise ValueError(f"{len(values)} cell edges (2 to {_MAX_CELLS + 1} are possible)")
    return tuple(float(v) for v in values)


def _short(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__)[:200]
