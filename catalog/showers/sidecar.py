"""The JSON beside a shower file: its full layer stack and grid, as our Geant4 samples carry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from catalog.domain import Detector, Slab, Stack
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile
from catalog.showers.geometry import Geometry, check_mesh
from catalog.validation import explain

_MAX_JSON = 5_000_000  # bytes
_MAX_CELLS = 1000  # per axis
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    ArithmeticError,
    OSError,
)


def read_sidecar(path: Path) -> Geometry | None:
    """Geometry from `<same name>.json`; None if there is no such file, or it tells none.

    Raises
    ------
    BadFile
        The file is there but does not describe a calorimeter.
    """
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        return None
    try:
        with sidecar.open("rb") as stream:
            text = stream.read(_MAX_JSON + 1)
        if len(text) > _MAX_JSON:
            raise ValueError(f"larger than {_MAX_JSON} bytes")
        document = json.loads(text, parse_constant=_refuse_constant)
        if "slabs" not in document or "grid" not in document:
            return None
        mesh = _mesh(document)
        return Geometry(mesh, _detector(document), _pdg(document), sidecar.name)
    except ValidationError as exc:
        raise BadFile(f"{sidecar}: {'; '.join(explain(exc)[:5])}", _REMEDY) from exc
    except _DAMAGE as exc:
        reason = f"{type(exc).__name__}: {exc}"[:200]
        raise BadFile(f"{sidecar}: not a calorimeter description: {reason}", _REMEDY) from exc


_REMEDY = "correct it, or move it away and name the detector: --detector FILE.yaml"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")


def _pdg(document: dict[str, Any]) -> int | None:
    pdg = document.get("pdg")
    if pdg is not None and (not isinstance(pdg, int) or isinstance(pdg, bool)):
        raise ValueError(f"pdg is {str(pdg)[:40]!r}, not a whole number")
    return pdg


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
    for number, slab in enumerate(document["slabs"]):
        thickness = float(slab["thickness_mm"])
        if not 0 < thickness < 1e6:
            raise ValueError(f"slabs.{number}.thickness_mm is {thickness}")
        depth += thickness
        if slab["layer"] >= 0:
            ends[int(slab["layer"])] = depth
    if not ends:
        raise ValueError("slabs: none is read out (layer >= 0)")
    edges = [0.0, *(ends[k] for k in sorted(ends))]
    edges[-1] = depth
    grid = document["grid"]
    width_y = grid["ny"] * grid["cell_y_mm"]
    width_x = grid["nx"] * grid["cell_x_mm"]
    if len(edges) - 1 > _MAX_CELLS:
        raise ValueError(f"{len(edges) - 1} readout layers (at most {_MAX_CELLS} are read)")
    if grid["n_layers"] != len(edges) - 1:
        raise ValueError(
            f"grid.n_layers is {grid['n_layers']}, but slabs has {len(edges) - 1} readout layers"
        )
    irregular = document.get("irregular_segmentation", {}).get("layers")
    cells = irregular or [[grid["ny"], grid["nx"]]] * (len(edges) - 1)
    if len(cells) != len(edges) - 1:
        raise ValueError(f"{len(cells)} layers of cells, {len(edges) - 1} readout layers of slabs")
    layers = []
    for (ny, nx), z0, z1 in zip(cells, edges[:-1], edges[1:], strict=True):
        layers.append(Layer(z0, z1, "cartesian", _centred(ny, width_y), _centred(nx, width_x)))
    mesh = Mesh(tuple(layers))
    check_mesh(mesh)
    return mesh


def _centred(n: int, width: float) -> tuple[float, ...]:
    """Edges of n equal cells about the axis."""
    if not (isinstance(n, int) and 0 < n <= _MAX_CELLS):
        raise ValueError(f"a layer has {str(n)[:20]} cells on one axis (1 to {_MAX_CELLS})")
    return tuple((i / n - 0.5) * width for i in range(n + 1))
