"""Nearest neighbours among the features."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, labelled, squared_distances

_NEIGHBOURS = 5
_BLOCK = 1024


def knn(features: Array, targets: Array) -> float:
    """Minus the mean squared error of the mean of 5 neighbours, in variances of the target.

    0 is perfect, about -1.2 is what chance does. Features are compared as they are: standardise
    them where their units differ. Constant targets count 0.
    """
    x, y = labelled(features, targets)
    count = min(_NEIGHBOURS, len(x) - 1)
    squares = np.zeros(y.shape[1])
    for start in range(0, len(x), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(x)))
        distances = squared_distances(x[rows], x)
        distances[np.arange(len(rows)), rows] = np.inf
        near = np.argpartition(distances, count - 1, axis=1)[:, :count]
        squares += ((y[near].mean(1) - y[rows]) ** 2).sum(0)
    variance = ((y - y.mean(0)) ** 2).sum(0)
    return -float(np.mean(squares / np.where(variance > 0, variance, 1.0)))
