"""The 3DGAN layout of the CLIC data (github.com/svalleco/3Dgan, Zenodo 3603086).

Variable angle: `ECAL` (N,x,y,z) in 50 x deposited GeV, `energy` in GeV, `theta` or `mtheta`.
Fixed angle: `ECAL` (N,x,y,z) in deposited GeV, `target` (N,>=2) whose column 1 is the energy, GeV.
"""

from __future__ import annotations

import h5py
import numpy as np

from catalog.domain import load_detector
from catalog.errors import BadFile
from catalog.showers.calochallenge import grid
from catalog.showers.reader import Asked, plain_dataset, read_rows
from catalog.showers.showerset import ShowerSet

_VARIABLE_ANGLE_SCALE = 50.0  # stored ECAL unit of the variable-angle files, per deposited GeV


class Gan3dReader:
    """Reads both revisions of the 3DGAN training data."""

    looks_for = "datasets ECAL (N,x,y,z) and energy or target"

    def recognises(self, file: h5py.File) -> bool:
        """ECAL with one of its two companions."""
        return "ECAL" in file and ("energy" in file or "target" in file)

    def read(self, file: h5py.File, asked: Asked) -> ShowerSet:
        """Read the showers; the axes (x,y,z) become (layer,y,x)."""
        path = asked.path
        shape = plain_dataset(file, "ECAL", path).shape
        if len(shape) != 4:
            raise BadFile(f"{path}: ECAL has shape {shape}; expected (N,x,y,z)")
        ecal = read_rows(file, "ECAL", asked.limit, path)
        variable_angle = "energy" in file
        if variable_angle:
            incident = read_rows(file, "energy", asked.limit, path).reshape(len(ecal), -1)[:, 0]
            ecal /= np.float32(_VARIABLE_ANGLE_SCALE)
        else:
            target = read_rows(file, "target", asked.limit, path)
            if target.ndim != 2 or target.shape[1] < 2:
                raise BadFile(f"{path}: target has shape {target.shape}; column 1 is the energy")
            incident = target[:, 1].astype(np.float64)
        angle_key = next((key for key in ("mtheta", "theta") if key in file), None)
        theta = np.full(len(ecal), np.pi / 2)
        if angle_key and variable_angle:
            theta = read_rows(file, angle_key, asked.limit, path).reshape(-1)
        if not len(ecal) == len(incident) == len(theta):
            raise BadFile(
                f"{path}: {len(ecal)} showers, {len(incident)} energies, {len(theta)} angles"
            )
        detector = asked.detector or load_detector("clic-3dgan")
        nx, ny, nz = shape[1:]
        cell_x, cell_y = detector.cell_mm or (5.1, 5.1)
        depth = (detector.depth_mm or float(nz)) / (detector.readout_layers or nz)
        flat = np.ascontiguousarray(ecal.transpose(0, 3, 2, 1)).reshape(len(ecal), -1)
        mesh = grid(nz, depth, ny, cell_y, nx, cell_x)
        pdg = asked.pdg if asked.pdg is not None else 11
        # The files measure the angle from the surface: 90 degrees is along the axis of the mesh.
        return ShowerSet(flat, incident, np.abs(np.pi / 2 - theta), mesh, detector, pdg)


READER = Gan3dReader()
