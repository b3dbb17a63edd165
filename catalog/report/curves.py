"""The numbers behind the plots: binned means, densities and spectra with statistical errors.

No drawing here, so that what a plot shows can be tested. NaN stands for "no showers in this bin".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.physics.observables import Observables
from catalog.showers import PHYSICS_SHAPE

Array = NDArray[np.float64]
_DEPTH = np.asarray(PHYSICS_SHAPE.depth_x0)
_RADIUS = np.asarray(PHYSICS_SHAPE.b_rm)
_MAX_ENERGY_BINS = 8
_SHOWERS_PER_BIN = 25  # fewer showers give a spread with an error above 15 %
_SPECTRUM_STEP = 0.1  # decades


@dataclass(frozen=True)
class Curve:
    """One value with its standard error per bin; both NaN where unknown.

    edges : (B + 1,), in the unit of the plot's horizontal axis
    """

    edges: Array
    value: Array
    error: Array

    def over(self, reference: Curve) -> Curve:
        """This curve over the reference's values, with this curve's own error only."""
        value = _divide(self.value, reference.value)
        return Curve(self.edges, value, np.abs(_divide(self.error, reference.value)))


def longitudinal(showers: Observables) -> Curve:
    """Mean share of the incident energy per X0 against depth in X0."""
    return Curve(_DEPTH, *_mean_and_error(showers.longitudinal / np.diff(_DEPTH)))


def radial(showers: Observables) -> Curve:
    """Mean share of the incident energy per R_M^2 against the distance to the axis in R_M."""
    area = np.pi * np.diff(_RADIUS**2)
    return Curve(_RADIUS, *_mean_and_error(showers.radial / area))


def response(showers: Observables, edges: Array) -> Curve:
    """Mean of visible energy / (sampling fraction x incident energy) per energy bin in GeV."""
    bins = [_mean_and_error(part[:, None]) for part in _per_energy_bin(showers, edges)]
    return Curve(edges, _column(bins, 0), _column(bins, 1))


def resolution(showers: Observables, edges: Array) -> Curve:
    """Standard deviation over mean of the response per energy bin in GeV."""
    bins = [_relative_spread(part) for part in _per_energy_bin(showers, edges)]
    return Curve(edges, _column(bins, 0), _column(bins, 1))


def cell_spectrum(showers: Observables, edges: Array) -> Curve:
    """Voxels per shower and decade of voxel energy (a share of the incident energy).

    The error is Poisson: voxels of one shower are taken as independent.
    """
    energies = showers.cells[np.isfinite(showers.cells) & (showers.cells > 0)]
    count = np.histogram(np.log10(energies), np.log10(edges))[0].astype(float)
    scale = max(len(showers.incident_gev), 1) * np.diff(np.log10(edges))
    seen = count > 0
    value = np.where(seen, count / scale, np.nan)
    return Curve(edges, value, np.where(seen, np.sqrt(count) / scale, np.nan))


def energy_edges(sets: Iterable[Observables]) -> Array:
    """Log-spaced edges in GeV that hold every shower, with enough showers per bin."""
    groups = [_good(showers.incident_gev) for showers in sets]
    energies = np.concatenate([*groups, np.empty(0)])
    if not energies.size:
        return np.array([1.0, 10.0])
    low, high = float(energies.min()), float(energies.max())
    if high < 1.05 * low:  # one energy: one bin around it
        return np.array([0.9 * low, 1.1 * high])
    bins = min(_MAX_ENERGY_BINS, max(1, len(groups[0]) // _SHOWERS_PER_BIN))
    return np.geomspace(low, high, bins + 1)


def cell_edges(sets: Iterable[Observables]) -> Array:
    """Edges of a tenth of a decade that hold every voxel energy of every set."""
    energies = np.concatenate([*(_good(showers.cells) for showers in sets), np.empty(0)])
    logs = np.log10(energies) if energies.size else np.array([-4.0, -1.0])
    first = np.floor(logs.min() / _SPECTRUM_STEP)
    last = max(np.ceil(logs.max() / _SPECTRUM_STEP), first + 1)
    edges: Array = 10.0 ** (_SPECTRUM_STEP * np.arange(first, last + 1))
    return edges


def _per_energy_bin(showers: Observables, edges: Array) -> list[Array]:
    total = showers.longitudinal.sum(1)
    place = np.searchsorted(edges, showers.incident_gev, "right") - 1
    place[showers.incident_gev == edges[-1]] = len(edges) - 2
    return [total[place == index] for index in range(len(edges) - 1)]


def _mean_and_error(values: Array) -> tuple[Array, Array]:
    """Mean and its standard error over the finite rows of each column."""
    finite = np.isfinite(values)
    n = finite.sum(0).astype(float)
    clean = np.where(finite, values, 0.0)
    mean = _divide(clean.sum(0), n)
    square = np.where(finite, (clean - np.nan_to_num(mean)) ** 2, 0.0).sum(0)
    return mean, np.sqrt(_divide(_divide(square, n - 1), n))


def _relative_spread(values: Array) -> tuple[Array, Array]:
    """Spread over mean, and its error from the fourth moment: tails count, as in a real resolution.

    Fewer than 5 showers give NaN.
    """
    values = values[np.isfinite(values)]
    n, unknown = len(values), np.full(1, np.nan)
    if n < 5 or values.mean() <= 0:
        return unknown, unknown
    mean, spread = values.mean(), values.std(ddof=1)
    if spread == 0:
        return np.zeros(1), np.zeros(1)
    excess = max(float(np.mean((values - mean) ** 4)) - spread**4, 0.0)
    relative = excess / (4 * n * spread**4) + spread**2 / (n * mean**2)
    ratio = np.array([spread / mean])
    return ratio, ratio * np.sqrt(relative)


def _column(bins: list[tuple[Array, Array]], which: int) -> Array:
    return np.concatenate([pair[which] for pair in bins])


def _good(values: Array) -> Array:
    return values[np.isfinite(values) & (values > 0)]


def _divide(top: Array, bottom: Array) -> Array:
    """top / bottom, NaN where that is undefined."""
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    np.divide(top, bottom, out=out, where=np.isfinite(top) & np.isfinite(bottom) & (bottom > 0))
    return out
