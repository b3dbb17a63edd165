"""Showers and their conditions, in one in-memory form whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import Mesh, Shape, rebin
from catalog.errors import UsageError


@dataclass(frozen=True)
class ShowerSet:
    """N showers on one mesh.

    energies : (N, mesh.voxels) float32, deposited energy in the active material, GeV
    incident_gev : (N,) float64, energy of the incoming particle, GeV
    theta_rad : (N,) float64, angle to the axis of the mesh (0 = along the axis)
    digest : SHA-256 of the file the showers came from, "" if they were generated
    """

    energies: NDArray[np.float32]
    incident_gev: NDArray[np.float64]
    theta_rad: NDArray[np.float64]
    mesh: Mesh
    detector: Detector
    pdg: int
    source: str = ""
    digest: str = ""

    def __len__(self) -> int:
        return len(self.incident_gev)

    def part(self, start: int, stop: int | None = None) -> ShowerSet:
        """The showers start .. stop, in file order."""
        cut = slice(start, stop)
        return replace(
            self,
            energies=self.energies[cut],
            incident_gev=self.incident_gev[cut],
            theta_rad=self.theta_rad[cut],
        )

    def scale(self) -> tuple[float, float]:
        """(X0, R_M) of the detector in mm.

        Raises
        ------
        UsageError
            The detector gives no layer stack.
        """
        x0, rm = self.detector.x0_mm, self.detector.rm_mm
        if x0 is None or rm is None:
            raise UsageError(
                f"detector {self.detector.name!r} has no layer stack, so X0 and R_M are unknown",
                "add `stack:` (materials and thicknesses) to its YAML file",
            )
        return x0, rm

    def sampling_fraction(self) -> float:
        """Visible over deposited energy: the detector's value, else the mean of these showers."""
        if self.detector.sampling_fraction is not None:
            return self.detector.sampling_fraction
        return float(np.mean(self.energies.sum(1) / self.incident_gev))

    def on(self, shape: Shape) -> NDArray[np.float32]:
        """Energies on a mesh in X0 and R_M: (N, layers, slow, fast), GeV visible."""
        moved = rebin(self.energies, self.mesh, shape.mesh(*self.scale()))
        return moved.reshape(len(self), *shape.size)
