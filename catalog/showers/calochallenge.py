"""The CaloChallenge layout: `incident_energies` (N,1) and `showers` (N,voxels), both MeV.

Where the cells lie comes from, in this order: a binning XML the user names; attributes of the file
(`mesh`, or `mesh_shape`, `cell_mm`, `layer_mm`); a JSON of the same name beside it; a binning XML
beside it; the number of voxels, if it is one of the four published sets; the detector the user
names. The number never decides between two flattening orders: files that store 3-D or 4-D showers
are not of this layout.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from catalog.domain import Detector
from catalog.errors import BadFile
from catalog.showers.binning import from_binning
from catalog.showers.geometry import (
    Geometry,
    from_attributes,
    from_detector,
    from_voxel_count,
    grid,
    is_parametrised,
    published_sets,
)
from catalog.showers.hdf5 import Table, has, table
from catalog.showers.reader import Asked, Opened, Rows
from catalog.showers.sidecar import read_sidecar

__all__ = ["READER", "CaloChallengeReader", "grid", "published_sets"]


class CaloChallengeReader:
    """Reads CaloChallenge 1 to 3 and any flat file that tells its geometry."""

    looks_for = "datasets incident_energies (N,1) and showers (N,voxels)"

    def recognises(self, file: object) -> bool:
        """Both datasets are there."""
        return has(file, "incident_energies", "showers")

    def open(self, file: Any, asked: Asked) -> Opened:
        """Find the geometry; energies become GeV."""
        path = asked.path
        showers = table(file, "showers", path)
        if len(showers.shape) != 2:
            raise BadFile(
                f"{path}: showers has shape {showers.shape}; this layout is flat, (N, voxels)",
                "flatten each shower in the order layer, then phi (or y), then r (or x)",
            )
        incident = one_column(table(file, "incident_energies", path))
        theta = (
            one_column(table(file, "incident_theta", path)) if has(file, "incident_theta") else None
        )
        rows = same_length(showers, incident, theta)
        geometry = _geometry(file, showers.shape[1], asked)
        scale, incident_scale = showers.gev("MeV"), incident.gev("MeV")

        def fetch(start: int, stop: int) -> Rows:
            angle = theta.column(start, stop) if theta else np.zeros(stop - start)
            energy = incident.column(start, stop) * incident_scale
            return Rows(showers.energies(start, stop, scale), energy, angle)

        published = geometry.where in {s["name"] for s in published_sets().values()}
        return Opened(
            rows,
            geometry.mesh,
            _with_sampling_fraction(file, geometry.detector, asked),
            asked.need_pdg(geometry.pdg),
            fetch,
            showers.align,
            1.0 if published else None,  # published cells are corrected for sampling
            parametrised=is_parametrised(file, path),
        )


READER = CaloChallengeReader()


def one_column(column: Table) -> Table:
    """Refuse a dataset that does not hold one number per shower."""
    if any(n != 1 for n in column.shape[1:]):
        raise BadFile(
            f"{column.path}: {column.key} has shape {column.shape}; expected one number per "
            "shower, (N, 1)",
            "are its axes swapped, or is it another quantity?",
        )
    return column


def same_length(showers: Table, *others: Table | None) -> int:
    """Number of showers, the same in every dataset."""
    rows = showers.shape[0]
    for other in others:
        if other is not None and other.shape[0] != rows:
            raise BadFile(
                f"{showers.path}: {other.shape[0]} rows of {other.key} for {rows} {showers.key}",
                "the file is damaged, was cut, or its axes are swapped: make it again",
            )
    return rows


def _geometry(file: h5py.File, voxels: int, asked: Asked) -> Geometry:
    """Where the cells lie; the mesh always has exactly `voxels` of them."""
    found = (
        (from_binning(asked, voxels) if asked.binning else None)
        or from_attributes(file, asked)
        or read_sidecar(asked.path)
        or from_binning(asked, voxels)
        or from_voxel_count(voxels)
        or from_detector(asked, voxels)
    )
    if found is None:
        known = ", ".join(f"{n} ({s['name']})" for n, s in published_sets().items())
        raise BadFile(
            f"{asked.path}: {voxels} voxels fit no known geometry; known: {known}",
            "give the XML of its cells: --binning FILE.xml; or, for square cells, a detector with "
            "readout_layers and cell_mm: --detector FILE.yaml",
        )
    if found.mesh.voxels != voxels:
        raise BadFile(
            f"{asked.path}: {voxels} voxels, but its geometry ({found.where}) has "
            f"{found.mesh.voxels}",
            f"is {asked.binning} of another file? put each XML beside its file, as NAME.xml"
            if asked.binning
            else "the geometry belongs to another file, or the showers were cut; name the XML of "
            "these cells: --binning FILE.xml",
        )
    if asked.detector is not None:
        return Geometry(found.mesh, asked.detector, found.pdg, found.where)
    return found


def _with_sampling_fraction(file: h5py.File, detector: Detector, asked: Asked) -> Detector:
    """Our Geant4 samples carry active and total deposits, which give the fraction exactly."""
    if detector.sampling_fraction is not None or not has(file, "active_energy", "total_deposit"):
        return detector
    active, total = (_sum(table(file, k, asked.path)) for k in ("active_energy", "total_deposit"))
    if not 0 < active <= total:
        return detector
    return detector.model_copy(update={"sampling_fraction": active / total})


def _sum(column: Table) -> float:
    rows = min(one_column(column).shape[0], 1_000_000)
    return float(np.sum(column.column(0, rows)))
