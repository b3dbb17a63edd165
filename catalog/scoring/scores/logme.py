"""LogME: the evidence of a linear model from features to targets (arXiv 2102.11005), exact."""

from __future__ import annotations

import math

import numpy as np

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array
from catalog.scoring.scores.gram import Spectrum

_GOLDEN = (math.sqrt(5) - 1) / 2
_ROUNDS = 20  # golden sections of two steps of the grid: 1e-4 in ln t, 1e-8 in the maximum


def logme(found: Spectrum) -> float:
    """Mean over targets of the largest log evidence per row (nats).

    Of features and targets less their means, so that N = n - 1. The ratio of the two precisions
    is found on its profile; the published fixed point has no answer for n <= d, and the published
    evidence lacks a term there. Features may be multiplied by any constant; targets by s shift it
    by -ln s. Compare at equal n. Targets that are constant are left out. Targets that the features
    give exactly have no finite evidence: rounding then sets a large value.

    Raises
    ------
    UsageError
        Every target is constant.
    """
    varying = found.yy > 1e-24 * np.maximum(found.n * found.target_mean**2, 1e-300)
    if not varying.any():
        raise UsageError("every target is constant: nothing to learn", "choose other targets")
    kept = found.values > 0
    values, rows = found.values[kept], found.n - 1
    squares = found.projected[kept][:, varying] ** 2 / values[:, None]
    left = np.maximum(found.yy[varying] - squares.sum(0), 0.0)
    if len(values) == rows:
        left = np.zeros_like(left)
    if not len(values):
        return float(np.mean(0.5 * (np.log(rows / left) - 1 - math.log(2 * math.pi))))
    return float(_largest(values, squares, left, rows).mean() / rows)


def _largest(values: Array, squares: Array, left: Array, rows: int) -> Array:
    """Maximum of the evidence over ln t of every target, (T,): a grid, then golden sections."""
    grid = np.log(values[-1]) + np.arange(-35.0, 26.0)
    gap = _gap(values, grid)
    best = _evidence(np.log(gap).sum(0)[:, None], gap.T @ squares + left, rows).argmax(0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]

    def at(ln_t: Array) -> Array:
        gap = _gap(values, ln_t)
        return _evidence(np.log(gap).sum(0), (gap * squares).sum(0) + left, rows)

    for _ in range(_ROUNDS):
        one, other = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        lower = at(one) > at(other)
        low, high = np.where(lower, low, one), np.where(lower, other, high)
    return at(0.5 * (low + high))


def _gap(values: Array, ln_t: Array) -> Array:
    """t / (l + t), (k, G): what the prior keeps of every eigenvector."""
    t = np.exp(ln_t)
    found: Array = t / (values[:, None] + t)
    return found


def _evidence(ln_gaps: Array, misfit: Array, rows: int) -> Array:
    """Log evidence at the best beta = N / misfit.

    `ln_gaps` = sum ln(t / (l + t)); `misfit` = sum x^2 t / (l + t) + r0, which is r2 + t m2.
    """
    ln_beta = np.log(rows / np.maximum(misfit, 1e-300))
    found: Array = 0.5 * (ln_gaps + rows * (ln_beta - 1 - math.log(2 * math.pi)))
    return found
