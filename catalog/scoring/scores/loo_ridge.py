"""Ridge regression with one row left out, in closed form."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, labelled
from catalog.scoring.scores.gram import gram

_PENALTY = 0.1  # of the features' total variance


def loo_ridge(features: Array, targets: Array) -> float:
    """Minus the mean squared residual of rows left out, in variances of the target.

    0 is perfect, -1 is what the mean would do. Not tuned: the penalty is 0.1 of the total variance.
    Constant targets count 0.
    """
    x, y = labelled(features, targets)
    sums = gram(x, y)
    penalty = _PENALTY * np.trace(sums.xx) / sums.n
    centred = x - sums.mean
    inverse = np.linalg.inv(sums.xx + max(penalty, 1e-300) * np.eye(len(sums.xx)))
    leverage = 1 / sums.n + np.einsum("ij,ij->i", centred @ inverse, centred)
    residual = (y - sums.target_mean) - centred @ (inverse @ sums.xy)
    squares = ((residual / (1 - leverage)[:, None]) ** 2).sum(0)
    return -float(np.mean(squares / np.where(sums.yy > 0, sums.yy, 1.0)))
