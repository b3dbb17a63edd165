"""Gaussian Bhattacharyya coefficient between classes (arXiv 2111.12780)."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array, classes_of
from catalog.scoring.scores.gram import gram, shrinkage, spectrum
from catalog.scoring.scores.pca import components

_MOST = 64


def gbc(features: Array, labels: Array) -> float:
    """Minus the summed overlap of all ordered pairs of classes: in [-K (K - 1), 0].

    Classes are Gaussians of up to 64 principal components with Ledoit-Wolf covariances: few
    showers of a class do not span its components.

    Raises
    ------
    UsageError
        A class has one row.
    """
    z = components(features, most=_MOST)
    classes = classes_of(labels, len(z))
    found = []
    for label in np.unique(classes):
        rows = z[classes == label]
        if len(rows) < 2:
            raise UsageError(f"class {label!r} has one row", "give two or more, or drop the class")
        sums = gram(rows, np.zeros(len(rows)))
        weight, mean = shrinkage(spectrum(sums))
        ridge = (weight * mean + 1e-9 * (mean + 1e-300)) * np.eye(len(sums.xx))
        found.append((sums.mean, (1 - weight) * sums.xx / sums.n + ridge))
    return -2 * math.fsum(_overlap(one, other) for one, other in combinations(found, 2))


def _overlap(one: tuple[Array, Array], other: tuple[Array, Array]) -> float:
    """exp(-D), D the Bhattacharyya distance of two Gaussians (mean, covariance)."""
    shift, middle = one[0] - other[0], (one[1] + other[1]) / 2
    ln = [float(np.linalg.slogdet(c)[1]) for c in (middle, one[1], other[1])]
    apart = float(shift @ np.linalg.solve(middle, shift)) / 8
    return math.exp(-apart - 0.5 * (ln[0] - 0.5 * (ln[1] + ln[2])))
