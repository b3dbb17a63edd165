"""LEEP (arXiv 2002.12462)."""

from __future__ import annotations

import numpy as np

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array, classes_of, one_hot, table


def leep(probabilities: Array, labels: Array) -> float:
    """Mean log likelihood (nats) of labels, guessed from a source model's own classes: <= 0.

    Parameters
    ----------
    probabilities : (n, Z) of the source model's classes, rows sum to 1
    labels : (n,) of any kind
    """
    theta = table(probabilities, "probabilities", rows=1)
    if theta.min() < 0 or not np.allclose(theta.sum(1), 1, atol=1e-3):
        raise UsageError(
            "leep needs probabilities, of which every row sums to 1", "apply a softmax first"
        )
    classes = one_hot(classes_of(labels, len(theta)))
    given = (theta.T @ classes) / np.maximum(theta.sum(0), 1e-300)[:, None]  # P(y | z)
    likely = ((theta @ given) * classes).sum(1)
    return float(np.log(np.maximum(likely, 1e-300)).mean())
