"""What a physicist compares: per-shower observables in units of the detector.

All observables are computed on one mesh in X0 and R_M (`PHYSICS_SHAPE`), to which every shower,
simulated or generated, is moved by shared volume. So detectors of any segmentation compare, and a
model that already generates on that mesh loses nothing. Radii are to the axis of the mesh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.errors import UsageError
from catalog.physics.columns import HIT, recorded_columns, shape_columns, spectra
from catalog.showers import PHYSICS_SHAPE, Showers, fraction_of

Array = NDArray[np.float64]
_NONE = np.empty((0, 0))


@dataclass(frozen=True)
class Observables:
    """Per-shower values (N, F) and the spectra that plots and gates need.

    `names` and `values` are the set that every recorded distance was computed on and never change;
    what was added later is in `extra`.
    """

    names: tuple[str, ...]
    values: Array
    incident_gev: Array
    longitudinal: Array  # (N, 25) share of the incident energy per X0
    radial: Array  # (N, 5) share of the incident energy per ring of R_M / 2
    cells: NDArray[Any]  # (M,) voxel energies over threshold, share of the incident energy
    theta_rad: Array = field(default_factory=lambda: np.empty(0))
    extra: Mapping[str, Array] = field(default_factory=dict)  # {name: (N,)}
    spectrum: Array = field(default_factory=lambda: _NONE)  # (N, bins) hits, `SPECTRUM_EDGES`

    def __len__(self) -> int:
        return len(self.incident_gev)

    def column(self, name: str) -> Array:
        """One observable of every shower, recorded or extra: (N,)."""
        if name in self.names:
            return self.values[:, self.names.index(name)]
        if name in self.extra:
            return self.extra[name]
        known = ", ".join((*self.names, *self.extra))
        raise UsageError(f"no observable {name!r}", f"one of: {known}")

    def select(self, rows: NDArray[Any] | slice) -> Observables:
        """Some showers: an index array, a mask or a slice."""
        return replace(
            self,
            values=self.values[rows],
            incident_gev=self.incident_gev[rows],
            longitudinal=self.longitudinal[rows],
            radial=self.radial[rows],
            cells=self._cells_of(rows),
            theta_rad=self.theta_rad[rows],
            extra={name: values[rows] for name, values in self.extra.items()},
            spectrum=self.spectrum[rows],
        )

    def _cells_of(self, rows: NDArray[Any] | slice) -> NDArray[Any]:
        """The voxels of some showers, which lie shower by shower; of neighbours without a copy."""
        first = np.cumsum(np.concatenate([[0], self.spectrum.sum(1)])).astype(np.intp)
        picked = np.arange(len(self))[rows]
        if len(picked) and (np.diff(picked) == 1).all():
            return self.cells[first[picked[0]] : first[picked[-1] + 1]]
        parts = [self.cells[first[i] : first[i + 1]] for i in picked]
        return np.concatenate([self.cells[:0], *parts])


def observe(showers: Showers, sampling_fraction: float | None = None) -> Observables:
    """Compute the observables of showers (their detector must have a layer stack).

    Their cells are taken chunk by chunk, so those of an `open_showers` file are never all held.
    Without `sampling_fraction` it is the detector's; else the mean of these showers.
    """
    fraction = sampling_fraction or fraction_of(showers)
    found: list[Observables] = []
    cells: list[NDArray[Any]] = []  # most of the memory: never held twice
    for part in showers.chunks():
        grid = part.on(PHYSICS_SHAPE)
        seen = observe_grid(grid, part.incident_gev, fraction, part.theta_rad)
        cells.append(seen.cells)
        found.append(replace(seen, cells=seen.cells[:0].copy()))
    return replace(join(found), cells=_drained(cells))


def _drained(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """All parts in one array; each is let go as soon as it is copied."""
    whole = np.empty(sum(map(len, parts)), np.float32)
    start = 0
    for index, part in enumerate(parts):
        whole[start : start + len(part)] = part
        start += len(part)
        parts[index] = whole[:0]
    return whole


def join(parts: Sequence[Observables]) -> Observables:
    """All showers of several sets, in order."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise UsageError("no showers to observe")

    def all_of(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return Observables(
        parts[0].names,
        values=all_of("values"),
        incident_gev=all_of("incident_gev"),
        longitudinal=all_of("longitudinal"),
        radial=all_of("radial"),
        cells=all_of("cells"),
        theta_rad=all_of("theta_rad"),
        extra={n: np.concatenate([part.extra[n] for part in parts]) for n in parts[0].extra},
        spectrum=all_of("spectrum"),
    )


def observe_grid(
    grid: NDArray[np.float32],
    incident_gev: Array,
    sampling_fraction: float,
    theta_rad: Array | None = None,
) -> Observables:
    """Compute the observables of showers on `PHYSICS_SHAPE`.

    Parameters
    ----------
    grid : (N, 25, 8, 5), GeV visible
    incident_gev : (N,), GeV
    sampling_fraction : visible over deposited energy, so that 1.0 is full response
    theta_rad : (N,), default 0: along the axis
    """
    share = grid.astype(np.float64) / (incident_gev[:, None, None, None] * sampling_fraction)
    columns = recorded_columns(share, incident_gev)
    values = np.stack(list(columns.values()), axis=1)
    return Observables(
        tuple(columns),
        values,
        incident_gev,
        longitudinal=share.sum((2, 3)),
        radial=share.sum((1, 2)),
        cells=share[share > HIT].astype(np.float32),
        theta_rad=np.zeros(len(share)) if theta_rad is None else np.asarray(theta_rad, float),
        extra=shape_columns(share, columns),
        spectrum=spectra(share),
    )
