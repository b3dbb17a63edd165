"""Showers and their conditions, in one in-memory form whatever file they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import Mesh, Shape, rebin
from catalog.errors import UsageError

Array = NDArray[np.float64]
Rows = NDArray[np.intp] | slice
_CHUNK = 4000  # showers; bounds what is held beside them while their cells are used


class Showers(Protocol):
    """Showers with their conditions; their cells are here (`ShowerSet`) or still in a file."""

    @property
    def incident_gev(self) -> Array:
        """Energy of the incoming particles: (N,), GeV."""
        ...

    @property
    def theta_rad(self) -> Array:
        """Their angles to the axis of the mesh: (N,)."""
        ...

    @property
    def visible_gev(self) -> Array:
        """Sum of the cells of every shower: (N,), GeV."""
        ...

    @property
    def mesh(self) -> Mesh:
        """Where the cells lie."""
        ...

    @property
    def detector(self) -> Detector:
        """Whose they are."""
        ...

    @property
    def pdg(self) -> int:
        """The incoming particle."""
        ...

    @property
    def source(self) -> str:
        """Name of the file."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the file, "" if there is none."""
        ...

    @property
    def parametrised(self) -> bool:
        """Whether the file says that a parametrised simulation made them: no full simulation."""
        ...

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> Self:
        """Some showers: increasing positions, or a slice."""
        ...

    def of(self, detector: Detector) -> Self:
        """The same showers, said to be of this detector."""
        ...

    def chunks(self) -> Iterator[ShowerSet]:
        """The showers with their cells, in order, a few thousand at a time."""
        ...


@dataclass(frozen=True)
class ShowerSet:
    """N showers on one mesh.

    energies : (N, mesh.voxels) float32, deposited energy in the active material, GeV
    incident_gev : (N,) float64, energy of the incoming particle, GeV
    theta_rad : (N,) float64, angle to the axis of the mesh (0 = along the axis)
    digest : SHA-256 of the file the showers came from, "" if they were generated
    parametrised : whether that file says that a parametrised simulation made it
    """

    energies: NDArray[np.float32]
    incident_gev: NDArray[np.float64]
    theta_rad: NDArray[np.float64]
    mesh: Mesh
    detector: Detector
    pdg: int
    source: str = ""
    digest: str = ""
    parametrised: bool = False

    def __len__(self) -> int:
        return len(self.incident_gev)

    @property
    def visible_gev(self) -> Array:
        """Sum of the cells of every shower: (N,)."""
        total: Array = self.energies.sum(1, dtype=np.float64)
        return total

    def part(self, start: int, stop: int | None = None) -> ShowerSet:
        """The showers start .. stop, in file order."""
        return self.take(slice(start, stop))

    def take(self, rows: Rows) -> ShowerSet:
        """Some showers: positions, or a slice."""
        return replace(
            self,
            energies=self.energies[rows],
            incident_gev=self.incident_gev[rows],
            theta_rad=self.theta_rad[rows],
        )

    def of(self, detector: Detector) -> ShowerSet:
        """The same showers, said to be of this detector."""
        return replace(self, detector=detector)

    def chunks(self) -> Iterator[ShowerSet]:
        """The showers a few thousand at a time; an empty set is one empty chunk."""
        for start in range(0, max(len(self), 1), _CHUNK):
            yield self.part(start, start + _CHUNK)

    def scale(self) -> tuple[float, float]:
        """(X0, R_M) of the detector in mm; see `scale_of`."""
        return scale_of(self.detector)

    def sampling_fraction(self) -> float:
        """Visible over deposited energy; see `fraction_of`."""
        return fraction_of(self)

    def on(self, shape: Shape) -> NDArray[np.float32]:
        """Energies on a mesh in X0 and R_M: (N, layers, slow, fast), GeV visible."""
        moved = rebin(self.energies, self.mesh, shape.mesh(*self.scale()))
        return moved.reshape(len(self), *shape.size)


def scale_of(detector: Detector) -> tuple[float, float]:
    """(X0, R_M) of a detector in mm.

    Raises
    ------
    UsageError
        The detector gives no layer stack.
    """
    x0, rm = detector.x0_mm, detector.rm_mm
    if x0 is None or rm is None:
        raise UsageError(
            f"detector {detector.name!r} has no layer stack, so X0 and R_M are unknown",
            "add `stack:` (materials and thicknesses) to its YAML file",
        )
    return x0, rm


def fraction_of(showers: Showers) -> float:
    """Visible over deposited energy: the detector's value, else the mean of these showers."""
    if showers.detector.sampling_fraction is not None:
        return showers.detector.sampling_fraction
    return float(np.mean(showers.visible_gev / showers.incident_gev))
