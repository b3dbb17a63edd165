"""Observables per bin of energy and angle: what a table or a fingerprint keeps of showers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.errors import UsageError
from catalog.physics.columns import DEPTH_GROUPS
from catalog.physics.observables import Observables

Array = NDArray[np.float64]
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Binned:
    """Moments and quantiles of F observables in E energy bins x A angle bins.

    n : (E, A) showers;  mean, sd : (E, A, F);  quantiles : (E, A, len(LEVELS), F)

    `sd` divides by n, so that n, mean and sd of two sets give those of both together exactly;
    quantiles only approximately. NaN where a bin is empty.
    """

    names: tuple[str, ...]
    energy_edges_gev: Array
    angle_edges_rad: Array
    n: NDArray[np.int64]
    mean: Array
    sd: Array
    quantiles: Array


def by_bin(
    showers: Observables,
    energy_edges_gev: Sequence[float] | Array,
    angle_edges_rad: Sequence[float] | Array = (0.0, np.pi),
) -> Binned:
    """Split showers by energy and angle; a bin holds its lower edge, the last one both.

    Raises
    ------
    UsageError
        Edges that do not increase.
    """
    edges = tuple(np.asarray(e, float) for e in (energy_edges_gev, angle_edges_rad))
    if any(len(e) < 2 or not (np.diff(e) > 0).all() for e in edges):
        raise UsageError("bin edges must be two or more increasing numbers")
    place = [
        _place(x, e) for x, e in zip((showers.incident_gev, showers.theta_rad), edges, strict=True)
    ]
    table = np.column_stack([showers.values, *showers.extra.values()])
    shape = (len(edges[0]) - 1, len(edges[1]) - 1)
    n = np.zeros(shape, np.int64)
    mean, sd = np.full((2, *shape, table.shape[1]), np.nan)
    quantiles = np.full((*shape, len(LEVELS), table.shape[1]), np.nan)
    for at in np.ndindex(shape):
        rows = table[(place[0] == at[0]) & (place[1] == at[1])]
        n[at] = len(rows)
        if len(rows):
            mean[at], sd[at] = rows.mean(0), rows.std(0)
            quantiles[at] = np.quantile(rows, LEVELS, axis=0)
    names = (*showers.names, *showers.extra)
    return Binned(names, edges[0], edges[1], n, mean, sd, quantiles)


def _place(values: Array, edges: Array) -> NDArray[np.intp]:
    """Bin of each value; -1 or beyond the last bin if outside."""
    place = np.searchsorted(edges, values, "right") - 1
    return np.where(values == edges[-1], len(edges) - 2, place)


def depth_shares(showers: Observables) -> Array:
    """Share of the incident energy in each of the nine groups of X0: (N, 9)."""
    groups = [showers.longitudinal[:, low:high].sum(1) for low, high in DEPTH_GROUPS]
    return np.stack(groups, axis=1)


def layer_correlation(showers: Observables) -> Array:
    """Pearson correlation of the energies at nine depths, at equal energy: (9, 9).

    What a quadratic in the logarithm of the incident energy explains is taken out first, else all
    depths would correlate through it.
    """
    shares = depth_shares(showers)
    rest = shares - EnergyCurve.fit(showers.incident_gev, shares).at(showers.incident_gev)
    return correlation(rest)


def correlation(table: Array) -> Array:
    """Pearson correlation of columns; a constant column correlates with nothing: (F, F)."""
    centred = table - table.mean(0)
    spread = centred.std(0)
    z = centred / np.where(spread > 1e-12, spread, np.inf)
    found: Array = z.T @ z / len(table)
    np.fill_diagonal(found, 1.0)
    return found


@dataclass(frozen=True)
class EnergyCurve:
    """Mean of F columns as quadratics in the logarithm of the incident energy."""

    centre: float
    scale: float
    coefficients: Array  # (3, F)

    @classmethod
    def fit(cls, incident_gev: Array, table: Array) -> EnergyCurve:
        """Least squares; of two energies a line, of one the mean."""
        log_e = np.log(incident_gev)
        centre, scale = float(log_e.mean()), max(float(log_e.std()), 1e-3)
        powers = np.vander((log_e - centre) / scale, 3, increasing=True)
        powers[:, len(np.unique(log_e)) :] = 0
        found: Array = np.asarray(np.linalg.lstsq(powers, table, rcond=1e-6)[0], float)
        return cls(centre, scale, found)

    def at(self, incident_gev: Array) -> Array:
        """The means at these energies: (N, F)."""
        z = (np.log(incident_gev) - self.centre) / self.scale
        found: Array = np.vander(z, 3, increasing=True) @ self.coefficients
        return found
