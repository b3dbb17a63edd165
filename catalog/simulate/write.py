"""Write simulated showers, block by block, in the CaloChallenge layout (MeV)."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from catalog.domain import Detector, detector_names, load_detector
from catalog.domain.mesh import Mesh
from catalog.errors import CatalogError, UsageError
from catalog.showers.geometry import encode_mesh
from catalog.showers.write import appearing
from catalog.simulate.beam import HADRONS, Beam
from catalog.simulate.medium import medium_of
from catalog.simulate.readout import equal_layers
from catalog.simulate.run import blocks

_WHAT = "parametrised shower simulation, not full simulation: no noise, no digitisation"
_MODEL = {
    False: "Grindhammer-Peters (hep-ex/0001020) with early energy, two-population spots",
    True: "hadron cascade of tracks, neutral pions and broken nuclei: rough",
}
_ROWS = 16  # showers per compressed chunk


def write_showers(
    path: Path,
    detector: Detector,
    mesh: Mesh,
    beam: Beam,
    seed: int,
    *,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Simulate the beam into a file, which appears complete or not at all.

    Raises
    ------
    UsageError
        The file exists and `force` is not set, or the detector has no layer stack.
    CatalogError
        The disk is full or the folder cannot be written; nothing is left behind.
    """
    _refuse(path, force)
    medium_of(detector)  # refuses before anything is written
    with appearing(path) as (file, sink):
        _describe(file, detector, mesh, beam, seed)
        file["incident_energies"] = beam.energy[:, None] * 1e3
        file["incident_theta"] = beam.theta[:, None]
        file["impact_xy_mm"] = beam.impact
        cells = file.create_dataset(
            "showers", (len(beam), mesh.voxels), np.float32,
            chunks=(min(_ROWS, len(beam)), mesh.voxels), compression="gzip", compression_opts=1,
            shuffle=True,
        )  # fmt: skip
        done = 0
        for block in blocks(detector, mesh, beam, seed):
            cells[done : done + len(block)] = block * np.float32(1e3)
            sink.check()
            done += len(block)
            if progress:
                progress(done, len(beam))
        _refuse(path, force)
    return path


def _refuse(path: Path, force: bool) -> None:
    if not path.parent.is_dir():
        raise CatalogError(f"{path.parent}: no such folder", "make it, or name another file")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", "name another file, or overwrite it: --force")


def _describe(file: h5py.File, detector: Detector, mesh: Mesh, beam: Beam, seed: int) -> None:
    """Attributes that the reader takes the geometry from, and where the showers come from."""
    first = mesh.layers[0]
    if equal_layers(mesh) and first.kind == "cartesian":
        file.attrs["mesh_shape"] = mesh.shape
        file.attrs["cell_mm"] = (first.b[1] - first.b[0], first.a[1] - first.a[0])
        file.attrs["layer_mm"] = first.z1 - first.z0
    else:
        file.attrs["mesh"] = encode_mesh(mesh)
    file.attrs["detector"] = detector.name
    file.attrs["pdg"] = beam.pdg
    if detector.name not in detector_names() or load_detector(detector.name) != detector:
        file.attrs["detector_json"] = detector.model_dump_json(
            exclude_none=True, exclude_defaults=True
        )
    file.attrs["provenance"] = json.dumps(_provenance(detector, beam, seed), sort_keys=True)


def _provenance(detector: Detector, beam: Beam, seed: int) -> dict[str, Any]:
    medium = medium_of(detector)
    return {
        "simulator": f"hep-model-catalog {version('hep-model-catalog')}",
        "what": _WHAT,
        "model": _MODEL[beam.pdg in HADRONS],
        "seed": seed,
        "showers": len(beam),
        "energy_gev": [float(beam.energy.min()), float(beam.energy.max())],
        "theta_rad": [float(beam.theta.min()), float(beam.theta.max())],
        "impact_mm": "uniform in a rectangle around the axis; see impact_xy_mm",
        "parameters": {
            "sampling_fraction": medium.visible,
            **detector.response.model_dump(),
            "x0_mm": medium.x0_mm,
            "rm_mm": medium.rm_mm,
            "ec_mev": medium.ec_mev,
            "z": medium.z,
        },
        "units": {"energy": "MeV", "length": "mm", "angle": "rad"},
    }
