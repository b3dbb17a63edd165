"""Reduced kernel mean embedding: showers as a few weighted points (Learnware, arXiv 2210.03647).

A model is stored as 32 points and their weights; its MMD to a target that is stored likewise costs
32^2 kernels, whatever the number of showers behind either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array, closeness, pair, squared_distances, table
from catalog.scoring.scores.mmd import rbf

_ROUNDS = 20


@dataclass(frozen=True)
class Rkme:
    """Points (P, F) and weights (P,), about 1 in sum.

    Only those of one space compare: equal observables divided by equal spreads. The kernel's
    scale is 2 F, the mean squared distance there.
    """

    points: Array
    weights: Array


def rkme(generated: Array, target: Array) -> float:
    """-ln of the MMD^2 of both embeddings, in spreads of the target."""
    x, y = pair(generated, target)
    return closeness(embedded_mmd2(embed(x), embed(y)))


def embed(x: Array, points: int = 32) -> Rkme:
    """Embed rows (n, F): centres of k-means, and the weights of the nearest mean embedding."""
    x = table(x, "showers")
    centres = _centres(x, min(points, len(x)))
    inner = _kernel(centres, centres) + 1e-6 * np.eye(len(centres))  # centres may coincide
    return Rkme(centres, np.linalg.solve(inner, _kernel(centres, x).mean(1)))


def embedded_mmd2(one: Rkme, other: Rkme) -> float:
    """Squared distance of the two embeddings, >= 0 up to rounding."""
    if one.points.shape[1] != other.points.shape[1]:
        raise UsageError(
            f"embeddings of {one.points.shape[1]} and of {other.points.shape[1]} observables",
            "embed the same observables of both",
        )
    both = np.concatenate([one.points, other.points])
    weights = np.concatenate([one.weights, -other.weights])
    return float(weights @ _kernel(both, both) @ weights)


def _kernel(x: Array, y: Array) -> Array:
    return rbf(squared_distances(x, y), 2.0 * x.shape[1])


def _centres(x: Array, count: int) -> Array:
    """Lloyd's k-means from rows drawn by a fixed seed; a centre without rows stays."""
    centres = x[np.random.default_rng(0).choice(len(x), count, replace=False)]
    for _ in range(_ROUNDS):
        nearest = squared_distances(x, centres).argmin(1)
        members = np.eye(count)[nearest]
        counts = members.sum(0)[:, None]
        centres = np.where(counts > 0, members.T @ x / np.maximum(counts, 1), centres)
    return centres
