"""The CaloChallenge layout: `incident_energies` (N,1) and `showers` (N,voxels), both MeV.

Where the cells lie comes from, in this order: the detector the user names; attributes of the file
(`mesh_shape`, `cell_mm`, `layer_mm`); a JSON of the same name beside it; the number of voxels, if
it is one of the four published sets. The number never decides between two flattening orders:
files that store 3-D or 4-D showers are not of this layout.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

import h5py
import numpy as np
import yaml

from catalog.domain import Detector, detector_names, load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile, CatalogError
from catalog.showers.reader import Asked, plain_dataset, read_rows
from catalog.showers.showerset import ShowerSet
from catalog.showers.sidecar import Geometry, read_sidecar


class CaloChallengeReader:
    """Reads CaloChallenge 1 to 3 and any flat file that tells its geometry."""

    looks_for = "datasets incident_energies (N,1) and showers (N,voxels)"

    def recognises(self, file: h5py.File) -> bool:
        """Both datasets are there."""
        return "incident_energies" in file and "showers" in file

    def read(self, file: h5py.File, asked: Asked) -> ShowerSet:
        """Read the showers; energies become GeV."""
        path = asked.path
        shape = plain_dataset(file, "showers", path).shape
        if len(shape) != 2:
            raise BadFile(
                f"{path}: showers has shape {shape}; this layout is flat, (N, voxels)",
                "flatten each shower in the order layer, then phi (or y), then r (or x)",
            )
        geometry = _geometry(file, shape[1], asked)
        incident = read_rows(file, "incident_energies", asked.limit, path).reshape(-1)
        showers = read_rows(file, "showers", asked.limit, path)
        if len(incident) != len(showers):
            raise BadFile(
                f"{path}: {len(incident)} incident energies for {len(showers)} showers",
                "the file is damaged, or was cut: make it again",
            )
        showers *= np.float32(1e-3)
        theta = np.zeros(len(incident))
        if "incident_theta" in file:
            theta = read_rows(file, "incident_theta", asked.limit, path).reshape(-1)
        detector = _with_sampling_fraction(file, geometry.detector, asked)
        pdg = asked.pdg if asked.pdg is not None else geometry.pdg
        if pdg is None:
            raise BadFile(f"{path}: does not say which particle", "name it: --particle e-")
        return ShowerSet(showers, incident * 1e-3, theta, geometry.mesh, detector, pdg)


READER = CaloChallengeReader()


@lru_cache(maxsize=1)
def published_sets() -> dict[int, Any]:
    """Geometry of the published data sets by number of voxels."""
    text = files("catalog.showers").joinpath("calochallenge.yaml").read_text(encoding="utf-8")
    table: dict[int, Any] = yaml.safe_load(text)
    return table


def _geometry(file: h5py.File, voxels: int, asked: Asked) -> Geometry:
    """Where the cells lie; the mesh always has exactly `voxels` of them."""
    found = (
        _from_attributes(file, asked)
        or read_sidecar(asked.path)
        or _from_voxel_count(voxels)
        or _from_detector(asked.detector, voxels)
    )
    if found is None:
        known = ", ".join(f"{n} ({s['name']})" for n, s in published_sets().items())
        raise BadFile(
            f"{asked.path}: {voxels} voxels fit no known geometry; known: {known}",
            "name a detector with readout_layers and cell_mm: --detector FILE.yaml",
        )
    if found.mesh.voxels != voxels:
        raise BadFile(
            f"{asked.path}: {voxels} voxels, but its geometry ({found.where}) has "
            f"{found.mesh.voxels}",
            "the geometry belongs to another file, or the showers were cut",
        )
    if asked.detector is not None:
        return Geometry(found.mesh, asked.detector, found.pdg, found.where)
    return found


def _with_sampling_fraction(file: h5py.File, detector: Detector, asked: Asked) -> Detector:
    """Our Geant4 samples carry active and total deposits, which give the fraction exactly."""
    sums = ("active_energy", "total_deposit")
    if detector.sampling_fraction is not None or not all(key in file for key in sums):
        return detector
    active, total = (float(np.sum(read_rows(file, key, None, asked.path))) for key in sums)
    if not 0 < active <= total:
        return detector
    return detector.model_copy(update={"sampling_fraction": active / total})


def _from_attributes(file: h5py.File, asked: Asked) -> Geometry | None:
    """Attributes of the file itself: mesh_shape, cell_mm, layer_mm, detector, pdg."""
    attributes = file.attrs
    if not {"mesh_shape", "cell_mm", "layer_mm"} <= set(attributes):
        return None
    try:
        layers, ny, nx = (int(v) for v in np.ravel(attributes["mesh_shape"]))
        cell_x, cell_y = (float(v) for v in np.ravel(attributes["cell_mm"]))
        depth = float(attributes["layer_mm"])
        name = str(attributes.get("detector", ""))
        pdg = int(attributes["pdg"]) if "pdg" in attributes else None
    except (ValueError, TypeError) as exc:
        raise BadFile(f"{asked.path}: bad geometry attributes: {exc}") from exc
    if not (0 < layers <= 1000 and 0 < ny <= 1000 and 0 < nx <= 1000 and depth > 0):
        raise BadFile(f"{asked.path}: bad geometry attributes: mesh_shape {layers, ny, nx}")
    detector = asked.detector
    if detector is None:
        if name not in detector_names():
            raise BadFile(
                f"{asked.path}: its detector {name!r} is not in the vocabulary",
                "describe it: --detector FILE.yaml",
            )
        detector = load_detector(name)
    return Geometry(grid(layers, depth, ny, cell_y, nx, cell_x), detector, pdg, "its attributes")


def _from_voxel_count(voxels: int) -> Geometry | None:
    """One of the published CaloChallenge sets."""
    known = published_sets().get(voxels)
    if known is None:
        return None
    detector = load_detector(known["detector"])
    cut = known["layers"] * known["repeat"]
    # Set 1 publishes no depths; one mm per layer is only a label there (its detector has no X0).
    step = (detector.depth_mm or float(len(cut))) / len(cut)
    layers = []
    for i, layer in enumerate(cut):
        phi = tuple(float(v) for v in np.linspace(-np.pi, np.pi, layer["alpha"] + 1))
        radii = tuple(float(v) for v in layer["r_mm"])
        layers.append(Layer(i * step, (i + 1) * step, "polar", phi, radii))
    return Geometry(Mesh(tuple(layers)), detector, known["pdg"], known["name"])


def _from_detector(detector: Detector | None, voxels: int) -> Geometry | None:
    """Square cells of the detector the user named."""
    if detector is None or not detector.readout_layers or not detector.cell_mm:
        return None
    side = round((voxels / detector.readout_layers) ** 0.5)
    if side * side * detector.readout_layers != voxels:
        raise BadFile(
            f"{voxels} voxels are not {detector.readout_layers} layers of n x n cells, as "
            f"detector {detector.name!r} would have",
            "check readout_layers of the detector",
        )
    depth = (detector.depth_mm or float(detector.readout_layers)) / detector.readout_layers
    cell_x, cell_y = detector.cell_mm
    mesh = grid(detector.readout_layers, depth, side, cell_y, side, cell_x)
    return Geometry(mesh, detector, None, f"detector {detector.name}")


def grid(layers: int, depth: float, ny: int, cell_y: float, nx: int, cell_x: float) -> Mesh:
    """Equal layers of equal cells, centred on the axis; lengths in mm."""
    if not (depth > 0 and cell_x > 0 and cell_y > 0):
        raise CatalogError("cells and layers must have positive sizes")
    y = tuple((i - ny / 2) * cell_y for i in range(ny + 1))
    x = tuple((i - nx / 2) * cell_x for i in range(nx + 1))
    return Mesh(tuple(Layer(i * depth, (i + 1) * depth, "cartesian", y, x) for i in range(layers)))
