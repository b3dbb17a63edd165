"""Showers that stay in their file: only conditions are held, cells are read again when asked for.

So two files of any size are compared in bounded memory: one pass tells the conditions, by which
showers are chosen; a second one reads the cells of the chosen ones, chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import Mesh
from catalog.errors import BadFile
from catalog.showers.reader import Told, iterate_showers
from catalog.showers.showerset import Array, Rows, ShowerSet

Watch = Callable[[str], Told]  # what is being done -> who is told how far it is


def _nobody(_: str) -> Told:
    return lambda _done, _total: None


@dataclass(frozen=True)
class ShowerFile:
    """Some showers of a file of any size.

    incident_gev, theta_rad, visible_gev : (n,) GeV, rad, GeV (the sum of the cells)
    rows : (n,) positions in the file, increasing
    asked : what `iterate_showers` was asked, to read the cells again
    """

    path: Path
    asked: dict[str, Any]
    rows: NDArray[np.intp]
    incident_gev: Array
    theta_rad: Array
    visible_gev: Array
    mesh: Mesh
    detector: Detector
    pdg: int
    digest: str
    parametrised: bool = False
    watch: Watch = _nobody

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def source(self) -> str:
        """Name of the file."""
        return self.path.name

    def take(self, rows: Rows) -> ShowerFile:
        """Some showers: increasing positions, or a slice."""
        return replace(
            self,
            rows=self.rows[rows],
            incident_gev=self.incident_gev[rows],
            theta_rad=self.theta_rad[rows],
            visible_gev=self.visible_gev[rows],
        )

    def of(self, detector: Detector) -> ShowerFile:
        """The same showers, said to be of this detector."""
        return replace(self, detector=detector)

    def chunks(self) -> Iterator[ShowerSet]:
        """The showers with their cells, read from the file.

        Raises
        ------
        BadFile
            As `read_showers`, or the file has changed since it was opened.
        """
        first = 0
        told = self.watch(f"observing {self.source}")
        for part in iterate_showers(self.path, **self.asked, told=told):
            if part.digest != self.digest:
                raise BadFile(f"{self.path}: it changed while it was read", "wait for its writer")
            low, high = np.searchsorted(self.rows, (first, first + len(part)))
            here = self.rows[low:high] - first
            first += len(part)
            if len(here):
                yield part.take(here).of(self.detector)


def open_showers(path: Path, watch: Watch = _nobody, **asked: Any) -> ShowerFile:
    """Read and check a whole file, and keep the conditions of its showers.

    Parameters
    ----------
    asked : detector, pdg, limit, binning, chunk as for `iterate_showers`
    watch : is told of the progress of this and of every later pass

    Raises
    ------
    BadFile
        As `read_showers`, except that no file is too large.
    """
    visible: list[Array] = []
    incident: list[Array] = []
    theta: list[Array] = []
    for part in iterate_showers(path, **asked, told=watch(f"reading {path.name}")):
        visible.append(part.visible_gev)
        incident.append(part.incident_gev)
        theta.append(part.theta_rad)
    energies = np.concatenate(incident)
    return ShowerFile(
        path, asked, np.arange(len(energies)), energies, np.concatenate(theta),
        np.concatenate(visible), part.mesh, part.detector, part.pdg, part.digest,
        part.parametrised, watch,
    )  # fmt: skip
