"""Point clouds (CaloClouds): `energy` (N,1) GeV and `events` (N,P,4) or (N,4,P): x, y, z, e.

Points with e = 0 are padding, in front or behind. The axis of length 4 holds the features; where
both are 4 the file is refused. Deposits are GeV unless the dataset's attribute `unit` says
otherwise. Attributes of the file, each optional:

orientation : "hdf5:xyz==local:yzx" (the default, CaloClouds' own): the first column is local y
    (slow axis), the second the depth, the third local x (fast axis)
depth_unit : "layer" (index) or "mm" (from the front face); else told by the values
origin_mm : position of the shower's axis at the front face, in the order of the columns
mesh, detector, pdg : as in flat files (see `geometry`)

Points are summed in the cells of the file's mesh, else of the detector the user names. Sources:
github.com/FLC-QU-hep/CaloClouds-3 (orientation, refusal of 4 x 4), CaloClouds-2 (padding in front).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.errors import BadFile
from catalog.showers.calochallenge import one_column, same_length
from catalog.showers.geometry import Geometry, from_attributes
from catalog.showers.hdf5 import Table, attribute, has, table
from catalog.showers.points import Points, into_cells, window
from catalog.showers.reader import Asked, Opened, Rows

_START = "hdf5:xyz==local:"
_DEFAULT = _START + "yzx"
_SAMPLE = 200  # showers that tell the depth unit and whether the origin fits
_MAX_LOST = 0.2  # of the energy outside the mesh; the mesh holds 98 % of an EM shower


class PointCloudReader:
    """Reads point clouds, summed in the cells of a mesh."""

    looks_for = "datasets energy (N,1) and events (N,P,4) or (N,4,P)"

    def recognises(self, file: object) -> bool:
        """Both datasets are there."""
        return has(file, "energy", "events")

    def open(self, file: Any, asked: Asked) -> Opened:
        """Find features, orientation and mesh; check on a sample that the points lie in it."""
        path = asked.path
        events = table(file, "events", path)
        transposed = _features_first(events)
        energy = one_column(table(file, "energy", path))
        rows = same_length(events, energy)
        own = from_attributes(file, asked)
        geometry = own or _named(asked)
        scale, energy_scale = events.gev("GeV"), energy.gev("GeV")
        local = _Local(file, events, transposed, scale)
        local.settle(geometry, min(rows, _SAMPLE), own is None)

        def fetch(start: int, stop: int) -> Rows:
            cells, _ = into_cells(local.points(start, stop), geometry.mesh)
            incident = energy.column(start, stop) * energy_scale
            return Rows(cells, incident, np.zeros(stop - start))

        work = 6 * events.shape[1] * events.shape[2] + 2 * geometry.mesh.voxels
        return Opened(
            rows,
            geometry.mesh,
            geometry.detector,
            asked.need_pdg(geometry.pdg),
            fetch,
            events.align,
            work=work,
        )


READER = PointCloudReader()


@dataclass
class _Local:
    """Points of a file in the frame of the mesh."""

    file: Any
    events: Table
    transposed: bool
    scale: float
    depth_of_layer: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        path = self.events.path
        self.order = _columns(attribute(self.file, "orientation", path), path)
        origin = attribute(self.file, "origin_mm", path)
        try:
            self.origin = np.zeros(3) if origin is None else np.asarray(origin, float).reshape(3)
        except (ValueError, TypeError) as exc:
            raise BadFile(
                f"{path}: origin_mm is {str(origin)[:60]!r}", "it is three numbers: x, y, z in mm"
            ) from exc

    def points(self, start: int, stop: int) -> Points:
        """Showers start .. stop: local x, y, depth (mm) and energy (GeV), each (n, P)."""
        block = self.events.rows(start, stop)
        block = block.transpose(0, 2, 1) if self.transposed else block
        energy = block[..., 3].astype(np.float64) * self.scale
        x, y, z = (
            block[..., column].astype(np.float64) - self.origin[column] for column in self.order
        )
        _refuse_bad(energy, (x, y, z), start, self.events.path)
        if self.depth_of_layer is not None:
            known = (z >= 0) & (z < len(self.depth_of_layer))
            z = np.where(known, self.depth_of_layer[np.where(known, z, 0).astype(np.int64)], -1.0)
        return Points(x, y, z, energy)

    def settle(self, geometry: Geometry, n: int, centred: bool) -> None:
        """Find the unit of depth, and refuse points that do not lie in (the middle of) the mesh."""
        path, mesh = self.events.path, geometry.mesh
        sample = self.points(0, n)
        used = sample.energy > 0
        if not used.any():
            return  # the check for empty showers speaks of it
        unit = attribute(self.file, "depth_unit", path) or _depth_unit(sample.z[used], mesh)
        if unit == "layer":
            self.depth_of_layer = np.array([(c.z0 + c.z1) / 2 for c in mesh.layers])
            sample = self.points(0, n)
        elif unit != "mm":
            raise BadFile(f"{path}: depth_unit is {str(unit)[:40]!r}", "it is mm or layer")
        _check_inside(sample, geometry, centred, path)


def _features_first(events: Table) -> bool:
    """Whether the features (x, y, z, e) come before the points."""
    shape = events.shape
    if len(shape) != 3 or 4 not in shape[1:]:
        raise BadFile(
            f"{events.path}: events has shape {shape}; expected (N, P, 4) or (N, 4, P)",
            "each point is x, y, z, e",
        )
    if shape[1] == shape[2]:
        raise BadFile(
            f"{events.path}: events has shape {shape}: points and features cannot be told apart",
            "pad the showers to five points or more",
        )
    return shape[1] == 4


def _columns(orientation: Any, path: Any) -> tuple[int, int, int]:
    """Columns of local x, y and depth."""
    text = str(orientation or _DEFAULT)
    letters = text.removeprefix(_START)
    if not text.startswith(_START) or sorted(letters) != ["x", "y", "z"]:
        raise BadFile(f"{path}: orientation is {text[:60]!r}", f"write it like {_DEFAULT!r}")
    return letters.index("x"), letters.index("y"), letters.index("z")


def _named(asked: Asked) -> Geometry:
    """Square cells of the detector the user named, seven Moliere radii across."""
    detector: Detector = asked.need_detector("a point cloud does not say which detector")
    try:
        mesh = window(detector)
    except ValueError as exc:
        raise BadFile(
            f"{asked.path}: points need cells: {exc}",
            "name a detector with readout_layers, cell_mm and stack",
        ) from exc
    return Geometry(mesh, detector, None, f"detector {detector.name}")


def _depth_unit(z: NDArray[np.float64], mesh: Any) -> str:
    """Whole numbers below the number of layers are layers; anything else is mm."""
    layers = len(mesh.layers)
    whole = bool((z == np.round(z)).all()) and z.min() >= 0 and z.max() < layers
    return "layer" if whole else "mm"


def _refuse_bad(
    energy: NDArray[np.float64], places: tuple[NDArray[np.float64], ...], start: int, path: Any
) -> None:
    """Bad points must not vanish in a sum, or outside the mesh."""
    lost = ~np.isfinite(energy)
    for place in places:
        lost |= ~np.isfinite(place) & (energy != 0)
    tests: tuple[tuple[NDArray[np.bool_], str], ...] = (
        (lost, "NaN or infinity"),
        (energy < 0, "a negative energy"),
    )
    for bad, words in tests:
        if bad.any():
            row = start + int(np.argmax(bad.any(1)))
            raise BadFile(
                f"{path}: events: shower {row} has a point with {words}", "leave such points out"
            )


def _check_inside(sample: Points, geometry: Geometry, centred: bool, path: Any) -> None:
    """Refuse clouds that lie beside the mesh: another origin, another frame, another unit."""
    _, kept = into_cells(sample, geometry.mesh)
    total, used = float(sample.energy.sum()), sample.energy > 0
    x, y = (float(np.average(v[used], weights=sample.energy[used])) for v in (sample.x, sample.y))
    z = sample.z[used]
    cells = geometry.detector.cell_mm or (0.0, 0.0)
    near = max(2 * max(cells), geometry.detector.rm_mm or 0.0)
    if kept >= (1 - _MAX_LOST) * total and not (centred and max(abs(x), abs(y)) > near):
        return
    raise BadFile(
        f"{path}: events: {100 * (1 - kept / total):.0f} % of the energy lies outside "
        f"{geometry.where}; its centre is at x {x:.4g}, y {y:.4g} mm and its depths are "
        f"{z.min():.4g} to {z.max():.4g} of {geometry.mesh.depth_mm:.4g} mm",
        "set the file's attribute origin_mm (the shower's axis at the front face), and "
        "orientation if its columns are not y, depth, x",
    )
