"""NLEEP (arXiv 2003.08347): LEEP of a Gaussian mixture on the features."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, classes_of
from catalog.scoring.scores.leep import leep
from catalog.scoring.scores.pca import components

_PER_CLASS = 5
_ROUNDS = 50


def nleep(features: Array, labels: Array) -> float:
    """LEEP with the members of 5 K Gaussians as source classes, <= 0.

    Features are reduced to the components that hold 80 % of their variance. Covariances are
    diagonal (the reference's are full), the start is drawn by a fixed seed.
    """
    z = components(features, energy=0.8)
    z = z / max(float(z.std(0).max()), 1e-300)
    count = min(_PER_CLASS * len(np.unique(classes_of(labels, len(z)))), len(z))
    return leep(memberships(z, count), labels)


def memberships(z: Array, count: int) -> Array:
    """Share of each of `count` diagonal Gaussians in each row, (n, count), by EM."""
    # From ordered rows, so that the start does not depend on the order they came in.
    ordered = z[np.lexsort(z.T[::-1])]
    means = ordered[np.random.default_rng(0).choice(len(z), count, replace=False)]
    variances = np.tile(z.var(0) + 1e-6, (count, 1))
    weights = np.full(count, 1 / count)
    shares = np.empty((len(z), count))
    for _ in range(_ROUNDS):
        ln = (
            np.log(weights)
            - 0.5 * np.log(variances).sum(1)
            - 0.5 * ((z**2) @ (1 / variances).T - 2 * z @ (means / variances).T)
            - 0.5 * (means**2 / variances).sum(1)
        )
        shares = np.exp(ln - ln.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        total = shares.sum(0) + 1e-12
        weights = total / total.sum()
        means = (shares.T @ z) / total[:, None]
        variances = np.maximum((shares.T @ z**2) / total[:, None] - means**2, 0) + 1e-6
    return shares
