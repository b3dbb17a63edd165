"""The 3DGAN layout of the CLIC data (github.com/svalleco/3Dgan, Zenodo 3603086).

Variable angle: `ECAL` (N,x,y,z) in 50 x deposited GeV, `energy` in GeV, `theta` or `mtheta`.
Fixed angle: `ECAL` (N,x,y,z) in deposited GeV, `target` (N,>=2) whose column 1 is the energy, GeV.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.domain import load_detector
from catalog.errors import BadFile
from catalog.showers.calochallenge import same_length
from catalog.showers.geometry import grid
from catalog.showers.hdf5 import Table, has, table
from catalog.showers.reader import Asked, Opened, Rows

_VARIABLE_ANGLE_SCALE = 50.0  # stored ECAL unit of the variable-angle files, per deposited GeV


class Gan3dReader:
    """Reads both revisions of the 3DGAN training data."""

    looks_for = "datasets ECAL (N,x,y,z) and energy or target"

    def recognises(self, file: object) -> bool:
        """ECAL with one of its two companions."""
        return has(file, "ECAL") and (has(file, "energy") or has(file, "target"))

    def open(self, file: Any, asked: Asked) -> Opened:
        """Check the shapes; the axes (x,y,z) become (layer,y,x)."""
        path = asked.path
        ecal = table(file, "ECAL", path)
        if len(ecal.shape) != 4:
            raise BadFile(
                f"{path}: ECAL has shape {ecal.shape}; expected (N,x,y,z)",
                "reshape the showers to three axes, depth last",
            )
        variable_angle = has(file, "energy")
        energy = table(file, "energy" if variable_angle else "target", path)
        if not variable_angle and (len(energy.shape) != 2 or energy.shape[1] < 2):
            raise BadFile(
                f"{path}: target has shape {energy.shape}; column 1 is the energy",
                "store target as (N, >= 2): particle code, energy in GeV",
            )
        angle_key = next((key for key in ("mtheta", "theta") if has(file, key)), None)
        angle = table(file, angle_key, path) if angle_key and variable_angle else None
        rows = same_length(ecal, energy, angle)
        detector = asked.detector or load_detector("clic-3dgan")
        nx, ny, nz = ecal.shape[1:]
        cell_x, cell_y = detector.cell_mm or (5.1, 5.1)
        depth = (detector.depth_mm or float(nz)) / (detector.readout_layers or nz)
        mesh = grid(nz, depth, ny, cell_y, nx, cell_x)
        column = 0 if variable_angle else 1

        def fetch(start: int, stop: int) -> Rows:
            return _rows(ecal, energy, column, angle, start, stop)

        return Opened(
            rows,
            mesh,
            detector,
            asked.pdg if asked.pdg is not None else 11,
            fetch,
            ecal.align,
        )


READER = Gan3dReader()


def _rows(
    ecal: Table, energy: Table, column: int, angle: Table | None, start: int, stop: int
) -> Rows:
    """Showers start .. stop: (n, z * y * x) in deposited GeV."""
    cells = ecal.energies(start, stop, 1.0)
    theta = np.full(len(cells), np.pi / 2)
    if column == 0:  # variable angle
        cells /= np.float32(_VARIABLE_ANGLE_SCALE)
    if angle is not None:
        theta = angle.column(start, stop)
    flat = np.ascontiguousarray(cells.transpose(0, 3, 2, 1)).reshape(len(cells), -1)
    incident = energy.column(start, stop, column)
    # The files measure the angle from the surface: 90 degrees is along the axis of the mesh.
    return Rows(flat, incident, np.abs(np.pi / 2 - theta))
