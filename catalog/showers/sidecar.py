"""The JSON beside a shower file: its full layer stack and grid, as our Geant4 samples carry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from catalog.domain import Detector, Slab, Stack
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile
from catalog.validation import explain

_MAX_JSON = 5_000_000  # bytes


@dataclass(frozen=True)
class Geometry:
    """Where the cells of a file lie, whose they are, and how we know."""

    mesh: Mesh
    detector: Detector
    pdg: int | None
    where: str


def read_sidecar(path: Path) -> Geometry | None:
    """Geometry from `<same name>.json`; None if there is no such file.

    Raises
    ------
    BadFile
        The file is there but does not describe a calorimeter.
    """
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        return None
    try:
        if sidecar.stat().st_size > _MAX_JSON:
            raise ValueError(f"larger than {_MAX_JSON} bytes")
        document = json.loads(sidecar.read_text(encoding="utf-8"))
        if "slabs" not in document or "grid" not in document:
            return None
        return Geometry(_mesh(document), _detector(document), document.get("pdg"), sidecar.name)
    except ValidationError as exc:
        raise BadFile(f"{sidecar}: {'; '.join(explain(exc))}") from exc
    except (ValueError, KeyError, TypeError, RecursionError, ZeroDivisionError) as exc:
        raise BadFile(f"{sidecar}: not a calorimeter description: {exc!r}") from exc


def _detector(document: dict[str, Any]) -> Detector:
    slabs = tuple(
        Slab(material=s["material"], mm=s["thickness_mm"], active=s["layer"] >= 0)
        for s in document["slabs"]
    )
    grid = document["grid"]
    return Detector(
        name=str(document["name"]).lower(),
        type="hcal" if "HCAL" in document.get("title", "") else "ecal",
        title=str(document.get("title", "")),
        technology="homogeneous" if all(slab.active for slab in slabs) else "sampling",
        stack=(Stack(repeat=1, slabs=slabs),),
        readout_layers=grid["n_layers"],
        cell_mm=(grid["cell_x_mm"], grid["cell_y_mm"]),
        sampling_fraction=document.get("sampling_fraction"),
        source=str(document.get("simulator", "")),
    )


def _mesh(document: dict[str, Any]) -> Mesh:
    """Layers end where their last slab ends; passive slabs belong to the layer after them."""
    ends: dict[int, float] = {}
    depth = 0.0
    for slab in document["slabs"]:
        depth += float(slab["thickness_mm"])
        if slab["layer"] >= 0:
            ends[int(slab["layer"])] = depth
    edges = [0.0, *(ends[k] for k in sorted(ends))]
    edges[-1] = depth
    grid = document["grid"]
    width_y = grid["ny"] * grid["cell_y_mm"]
    width_x = grid["nx"] * grid["cell_x_mm"]
    irregular = document.get("irregular_segmentation", {}).get("layers")
    cells = irregular or [[grid["ny"], grid["nx"]]] * grid["n_layers"]
    if len(cells) != len(edges) - 1:
        raise ValueError(f"{len(cells)} layers of cells, {len(edges) - 1} readout layers of slabs")
    layers = []
    for (ny, nx), z0, z1 in zip(cells, edges[:-1], edges[1:], strict=True):
        y = tuple((i / ny - 0.5) * width_y for i in range(ny + 1))
        x = tuple((i / nx - 0.5) * width_x for i in range(nx + 1))
        layers.append(Layer(z0, z1, "cartesian", y, x))
    return Mesh(tuple(layers))
