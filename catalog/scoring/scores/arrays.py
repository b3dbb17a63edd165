"""What every score shares: checked arrays, distances between rows, a distance as a score."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.errors import UsageError
from catalog.physics.distances import standardise

Array = NDArray[np.float64]
_BLOCK = 1024  # rows whose distances are held at once


def table(values: Any, what: str, rows: int = 2) -> Array:
    """Finite float64 rows (n, d); a vector becomes one column.

    Raises
    ------
    UsageError
        Not a table, too few rows, or a value that is no number: names the first such column.
    """
    found = np.asarray(values, dtype=np.float64)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or not found.shape[1]:
        raise UsageError(f"{what}: shape {found.shape} is no table", "give one row per shower")
    if len(found) < rows:
        raise UsageError(f"{what}: {len(found)} row(s), at least {rows} are needed", "add showers")
    if not np.isfinite(found).all():
        column = int(np.flatnonzero(~np.isfinite(found).all(0))[0])
        raise UsageError(
            f"{what}: column {column} holds values that are not finite",
            "drop those rows, or the column",
        )
    return found


def pair(generated: Any, target: Any) -> tuple[Array, Array]:
    """Observables of both, in spreads of the target, clipped to 30."""
    return standardise(*checked(generated, target))


def checked(generated: Any, target: Any) -> tuple[Array, Array]:
    """Observables of both, (n, F) and (m, F), as they are."""
    x, y = table(generated, "generated showers"), table(target, "target showers")
    if x.shape[1] != y.shape[1]:
        raise UsageError(
            f"{x.shape[1]} observables of the model's showers, {y.shape[1]} of the target's",
            "compute both by the same `observe`",
        )
    return x, y


def labelled(features: Any, targets: Any) -> tuple[Array, Array]:
    """Features (n, d) and target columns (n, T); class labels become one column per class."""
    x = table(features, "features")
    y = np.asarray(targets)
    y = one_hot(y) if y.ndim == 1 and y.dtype.kind not in "f" else table(y, "targets")
    if len(x) != len(y):
        raise UsageError(f"{len(x)} rows of features, {len(y)} of targets", "give one per shower")
    return x, y


def classes_of(labels: Any, rows: int) -> NDArray[Any]:
    """Class labels of any kind, (n,), one for each of so many rows."""
    found = np.asarray(labels)
    if found.shape != (rows,):
        raise UsageError(f"{rows} rows of features, labels of shape {found.shape}", "give one each")
    return found


def one_hot(labels: Any) -> Array:
    """Class labels of any kind (n,) as one column of 0 and 1 per class, (n, K)."""
    names, where = np.unique(np.asarray(labels), return_inverse=True)
    found: Array = np.eye(len(names))[where]
    return found


def squared_distances(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2, (n, m)."""
    found: Array = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    return np.maximum(found, 0, out=found)


def mean_over_pairs(x: Array, y: Array, kernel: Callable[[Array, Array], Array]) -> float:
    """Mean of kernel(x_i, y_j) over all pairs; no more than 1024 rows of them are held."""
    blocks = (x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK))
    return math.fsum(float(kernel(rows, y).sum()) for rows in blocks) / (len(x) * len(y))


def discrepancy(x: Array, y: Array, kernel: Callable[[Array, Array], Array]) -> float:
    """Mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over all pairs, also of a shower with itself.

    Never below 0 for a positive kernel, and not free of bias: equal showers give about 1/n + 1/m
    of k(x, x) - k(x, x'). That floor is alike for all models at equal n, and keeps the logarithm
    of a distance from blowing up what is only noise, as the unbiased sum (which turns negative)
    would.
    """
    within = mean_over_pairs(x, x, kernel) + mean_over_pairs(y, y, kernel)
    return within - 2 * mean_over_pairs(x, y, kernel)


def closeness(distance: float) -> float:
    """A distance as a score: -ln max(d, 1e-6)."""
    return -math.log(max(distance, 1e-6))
