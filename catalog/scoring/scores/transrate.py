"""TransRate (arXiv 2106.09362): coding rate of all features less that within the classes."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, classes_of, table

_EPSILON = 1e-4


def transrate(features: Array, labels: Array) -> float:
    """R(Z) - mean over classes of R(Z_c), R = 1/2 ln det(1 + Z^T Z / (n eps)), nats.

    It grows with the scale of the features, so those of different models compare only once they
    are scaled alike: here to a mean squared length of 1.
    """
    z = table(features, "features")
    z = z - z.mean(0)
    z = z / max(np.sqrt((z**2).sum() / len(z)), 1e-300)
    classes = classes_of(labels, len(z))
    within = [_rate(z[classes == label]) for label in np.unique(classes)]
    return _rate(z) - float(np.mean(within))


def _rate(z: Array) -> float:
    # the determinant is that of rows or of columns, whichever are fewer
    inner = z @ z.T if len(z) < z.shape[1] else z.T @ z
    return 0.5 * float(np.linalg.slogdet(np.eye(len(inner)) + inner / (len(z) * _EPSILON))[1])
