"""The layouts of Geant4's Par04 example and of LEMURS: 4-D showers with axes (N, r, phi, z).

VAE training files: one dataset per energy, its name the energy in GeV ("64"), in MeV.
Par04 / LEMURS: `incident_energy` (N,) or (N,1), `showers` (N,r,phi,z), optionally `incident_theta`.

The transposition trap: CaloChallenge 2 and 3 were made from the same detector but are flat in the
order (z, phi, r). Both have 6480 or 40500 cells, so the size tells nothing; the axes do, because
r, phi and z differ in length. Axes in any other order are refused, never guessed.

Sources: Geant4 examples/extended/parameterisations/Par04, DOI 10.5281/zenodo.6082201; LEMURS,
arXiv 2509.05108.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile
from catalog.showers.calochallenge import one_column, same_length
from catalog.showers.geometry import check_mesh, rings
from catalog.showers.hdf5 import Table, attribute, has, names_in, table
from catalog.showers.reader import Asked, Opened, Rows

_PAR04 = ("par04-siw", "calochallenge-siw")
# Cell sizes of the Par04 Si-W detector, mm: 0.25 (18 rings) or 0.5 (9 rings) R_M of tungsten.
_PAR04_DR_MM = {18: 2.325, 9: 4.65}
_MESHES = ((18, 50, 45), (9, 16, 45))
_WHICH = "does not say which detector (Par04 stacks share one mesh)"


class Par04Reader:
    """Reads Par04's VAE training files and the files of Par04 and LEMURS."""

    looks_for = (
        "datasets incident_energy and showers (N,r,phi,z), or (N,r,phi,z) named by energy in GeV"
    )

    def recognises(self, file: object) -> bool:
        """Either layout; a file of the VAE holds nothing but energies."""
        if has(file, "incident_energy", "showers"):
            return True
        names = names_in(file)
        return bool(names) and all(_number(name) is not None for name in names)

    def open(self, file: Any, asked: Asked) -> Opened:
        """Check axes and geometry; (r, phi, z) becomes (z, phi, r)."""
        if has(file, "showers"):
            return _open_lemurs(file, asked)
        return _open_vae(file, asked)


READER = Par04Reader()


def _open_lemurs(file: Any, asked: Asked) -> Opened:
    path = asked.path
    showers = table(file, "showers", path)
    incident = one_column(table(file, "incident_energy", path))
    theta = one_column(table(file, "incident_theta", path)) if has(file, "incident_theta") else None
    rows = same_length(showers, incident, theta)
    detector = asked.need_detector(_WHICH)
    mesh = _mesh(file, showers, detector)
    told = incident.told_gev()
    incident_scale = _guessed_gev(incident) if told is None else told
    shower_scale = showers.told_gev()
    scale = incident_scale if shower_scale is None else shower_scale

    def fetch(start: int, stop: int) -> Rows:
        cells = _turned(showers.energies(start, stop, scale))
        energy = incident.column(start, stop) * incident_scale
        angle = theta.column(start, stop) if theta else None
        return Rows(cells, energy, np.zeros(stop - start) if angle is None else tilt(angle))

    return Opened(rows, mesh, detector, asked.need_pdg(), fetch, showers.align)


def _open_vae(file: Any, asked: Asked) -> Opened:
    """Energies take turns, so that the first n showers are a fair sample of all energies."""
    path = asked.path
    named = [(_number(name), table(file, name, path)) for name in names_in(file)]
    tables = [entry for _, entry in sorted(named, key=lambda pair: pair[0] or 0.0)]
    energies = np.array(sorted(number or 0.0 for number, _ in named))
    shapes = {entry.shape[1:] for entry in tables}
    if len(shapes) != 1:
        raise BadFile(
            f"{path}: its energies have showers of different shapes: {sorted(shapes)[:4]}",
            "one file holds one detector: separate them",
        )
    detector = asked.need_detector(_WHICH)
    mesh = _mesh(file, tables[0], detector)
    which, row = _turns(path, [entry.shape[0] for entry in tables])

    def fetch(start: int, stop: int) -> Rows:
        cells = np.empty((stop - start, mesh.voxels), np.float32)
        here, there = which[start:stop], row[start:stop]
        for number, entry in enumerate(tables):
            mine = here == number
            if mine.any():  # the rows of one energy follow each other
                first, last = int(there[mine][0]), int(there[mine][-1]) + 1
                cells[mine] = _turned(entry.energies(first, last, entry.gev("MeV")))
        return Rows(cells, energies[here], np.zeros(stop - start))

    return Opened(len(which), mesh, detector, asked.need_pdg(), fetch)


def _turns(path: Any, counts: list[int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Which dataset and which of its rows each shower is: two arrays (sum of counts,)."""
    if sum(counts) > 50_000_000:
        raise BadFile(f"{path}: declares {sum(counts):,} showers", "split the file")
    which = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    row = np.concatenate([np.arange(n) for n in counts])
    order = np.argsort((row + 0.5) / np.asarray(counts)[which], kind="stable")
    return which[order], row[order]


def _mesh(file: Any, showers: Table, detector: Detector) -> Mesh:
    """Rings of the file's `dr_mm` and layers of its `layer_mm`, or those of Par04 Si-W."""
    path, shape = showers.path, showers.shape[1:]
    if len(shape) != 3:
        raise BadFile(
            f"{path}: {showers.key} has shape {showers.shape}; expected (N, r, phi, z)",
            "flat showers under the names incident_energies and showers are CaloChallenge's",
        )
    layers = detector.readout_layers or 45
    if shape not in _MESHES and (shape[2] != layers or shape[0] == layers):
        raise BadFile(
            f"{path}: {showers.key} has shape {showers.shape}; expected (N, r, phi, z) with "
            f"{layers} layers of {detector.name} last",
            "transpose it: CaloChallenge and Par04 keep these axes in opposite orders",
        )
    n_r, n_phi, n_z = shape
    dr, depth = (attribute(file, name, path) for name in ("dr_mm", "layer_mm"))
    if dr is None and detector.name in _PAR04:
        dr = _PAR04_DR_MM.get(n_r)
    if depth is None and detector.depth_mm is not None and n_z == detector.readout_layers:
        depth = detector.depth_mm / n_z
    if not (isinstance(dr, int | float) and isinstance(depth, int | float)):
        raise BadFile(
            f"{path}: does not say how large its cells are, and {detector.name} does not fix it",
            "set the file's attributes dr_mm (width of a ring) and layer_mm",
        )
    radii = [i * float(dr) for i in range(n_r + 1)]
    found: tuple[Layer, ...] = tuple(
        rings(radii, n_phi, i * float(depth), (i + 1) * float(depth)) for i in range(n_z)
    )
    try:
        check_mesh(Mesh(found))
    except ValueError as exc:
        raise BadFile(
            f"{path}: dr_mm and layer_mm give no mesh: {exc}", "both are positive lengths in mm"
        ) from exc
    return Mesh(found)


def _turned(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, r, phi, z) as (n, z * phi * r), r fastest."""
    return np.ascontiguousarray(cells.transpose(0, 3, 2, 1)).reshape(len(cells), -1)


def tilt(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle to the front face's normal from the polar angle of a barrel (90 degrees is normal)."""
    tilted: NDArray[np.float64] = np.abs(np.pi / 2 - theta)
    return tilted


def _guessed_gev(incident: Table) -> float:
    """GeV per unit from the range, where only one unit can be meant.

    Par04 writes MeV; CaloDiT-2, trained on LEMURS, works in GeV; both span 1 GeV to 1 TeV.
    """
    values = incident.column(0, min(incident.shape[0], 100_000))
    values = values[np.isfinite(values)]  # the others are refused with the shower they are in
    if not len(values) or (values.max() > 2000 and values.min() >= 100):
        return 1e-3
    if values.max() <= 2000 and values.min() < 100:
        return 1.0
    raise BadFile(
        f"{incident.path}: incident_energy from {values.min():.4g} to {values.max():.4g} may be "
        "MeV or GeV",
        "set the attribute unit of the dataset incident_energy to MeV or GeV",
    )


def _number(name: str) -> float | None:
    """An energy in GeV, written plainly; None for any other name."""
    if not name.replace(".", "", 1).isdecimal() or len(name) > 12:
        return None
    return float(name) or None
