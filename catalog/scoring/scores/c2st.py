"""Classifier two-sample test as log-odds, which go on where an AUC is 1."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import log_ndtr

from catalog.physics.distances import deal
from catalog.scoring.scores.arrays import Array, pair

_FOLDS = 4
_RIDGE = 1e-3


def c2st(generated: Array, target: Array) -> float:
    """Minus the log-odds (as asinh) of a linear classifier's AUC, on observables and squares.

    The AUC is that of two normal distributions as far apart as the classifier's held-out outputs,
    so that it never is 1. The log-odds grow as their distance squared, the asinh as its logarithm,
    so that one hopeless model does not set the scale for all. About 0 where it cannot tell the
    sets apart, and noise may lift it above. Folds are dealt by row.
    """
    x, y = pair(generated, target)
    x, y = (np.concatenate([rows, rows**2], axis=1) for rows in (x, y))
    fold_x, fold_y = deal(len(x), _FOLDS), deal(len(y), _FOLDS)
    apart = []
    for held in range(min(_FOLDS, len(x), len(y))):
        in_x, in_y = fold_x == held, fold_y == held
        weights = _direction(x[~in_x], y[~in_y])
        apart.append(_apart(x[in_x] @ weights, y[in_y] @ weights))
    z = float(np.mean(apart)) / math.sqrt(2)
    return -float(np.arcsinh(log_ndtr(z) - log_ndtr(-z)))


def _direction(x: Array, y: Array) -> Array:
    """Fisher's: the inverse of the mean covariance times the difference of the means."""
    shift = x.mean(0) - y.mean(0)
    within = (np.atleast_2d(np.cov(rows, rowvar=False, ddof=0)) for rows in (x, y))
    found: Array = np.linalg.solve(sum(within) / 2 + _RIDGE * np.eye(len(shift)), shift)
    return found


def _apart(x: Array, y: Array) -> float:
    """Difference of the means in spreads; of folds too small for a spread, that of both."""
    spread = math.sqrt((x.var() + y.var()) / 2) or np.concatenate([x, y]).std()
    return float(x.mean() - y.mean()) / spread if spread > 0 else 0.0
