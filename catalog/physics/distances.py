"""Distances between two sets of observables, (n, F) and (m, F); 0 is perfect agreement.

Columns are divided by the spread of the reference, so that no unit decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_QUANTILES = (np.arange(200) + 0.5) / 200


def w1_per_observable(sample: Array, reference: Array) -> Array:
    """Wasserstein-1 distance of each column, in standard deviations of the reference: (F,)."""
    sample, reference = standardise(sample, reference)
    distance: Array = np.abs(_quantiles(sample) - _quantiles(reference)).mean(0)
    return distance


def _quantiles(x: Array, levels: Array = _QUANTILES) -> Array:
    """`np.quantile(x, levels, axis=0)` to the last bit, by one sort: some 20 times faster."""
    ordered = np.sort(x, axis=0)
    at = (len(x) - 1) * levels
    below = np.floor(at).astype(np.intp)
    share = (at - below)[:, None]
    low, high = ordered[below], ordered[np.minimum(below + 1, len(x) - 1)]
    gap = high - low
    found: Array = np.where(share >= 0.5, high - gap * (1 - share), low + gap * share)
    return found


def w1_geomean(sample: Array, reference: Array) -> float:
    """Geometric mean over columns of the Wasserstein-1 distance.

    The geometric mean keeps one hopeless observable from hiding all others (as in CaloTransfer,
    arXiv 2512.00187).
    """
    w1 = w1_per_observable(sample, reference)
    return float(np.exp(np.log(np.maximum(w1, 1e-4)).mean()))


def w1_mean(sample: Array, reference: Array) -> float:
    """Mean over columns of the Wasserstein-1 distance."""
    return float(w1_per_observable(sample, reference).mean())


def separation(h1: Array, h2: Array) -> float:
    """Separation power of two histograms of bin shares (each sums to 1): in [0, 1].

    1/2 sum (h1 - h2)^2 / (h1 + h2), the triangular discrimination (arXiv 2009.03796, eq. 15) that
    the CaloChallenge reports.
    """
    return float(0.5 * np.sum((h1 - h2) ** 2 / (h1 + h2 + 1e-16)))


def separation_mean(sample: Array, reference: Array, bins: int = 20) -> float:
    """Mean separation power of the columns, in [0, 1].

    Bins have equal content of the reference, and the outer ones are open. The CaloChallenge has
    100 bins between fixed edges per observable and drops what falls outside: its numbers are of
    other bins, but of the same definition.
    """
    ours, theirs = np.sort(sample, axis=0), np.sort(reference, axis=0)
    powers = []
    for column, edges in enumerate(separation_edges(reference, bins)):
        h1, h2 = (_shares(rows[:, column], edges) for rows in (ours, theirs))
        powers.append(separation(h1, h2))
    return float(np.mean(powers))


def separation_edges(reference: Array, bins: int = 20) -> list[Array]:
    """The inner bin edges of each column."""
    inner = _quantiles(reference, np.linspace(0, 1, bins + 1)[1:-1])
    return [np.unique(inner[:, column]) for column in range(reference.shape[1])]


def _shares(ordered: Array, edges: Array) -> Array:
    """Share of sorted values in each bin between edges, the outer bins open."""
    below = np.concatenate([[0], ordered.searchsorted(edges), [len(ordered)]])
    shares: Array = np.diff(below) / len(ordered)
    return shares


def correlation_distance(one: Array, other: Array) -> float:
    """Root mean square difference of two correlation matrices over their pairs of columns."""
    pairs = np.triu_indices(len(one), 1)
    return float(np.sqrt(np.mean((one[pairs] - other[pairs]) ** 2)))


def frechet(sample: Array, reference: Array) -> float:
    """Frechet distance of two Gaussians with shrunk covariances (Ledoit-Wolf), in spreads.

    What models are ranked by: steady at a hundred showers, but not free of bias. Compare at equal
    n; `fpd` is the one to quote.
    """
    sample, reference = standardise(sample, reference)
    moments = ((x.mean(0), _shrunk_covariance(x)) for x in (sample, reference))
    return gaussian_distance(*moments)


def gaussian_distance(one: tuple[Array, Array], other: tuple[Array, Array]) -> float:
    """Squared 2-Wasserstein distance of two Gaussians, each (mean, covariance)."""
    shift = one[0] - other[0]
    values, vectors = np.linalg.eigh(one[1])
    root = vectors * np.sqrt(np.clip(values, 0, None))
    cross = np.linalg.eigvalsh(root.T @ other[1] @ root)
    trace = np.trace(one[1]) + np.trace(other[1]) - 2 * np.sqrt(np.clip(cross, 0, None)).sum()
    return float(shift @ shift + trace)


def classifier_auc(sample: Array, reference: Array, folds: int = 4, seed: int = 0) -> float:
    """Cross-validated AUC of a ridge classifier on the columns and their squares.

    0.5: it cannot tell them apart. A weaker test than a deep classifier on voxels, and said so.
    """
    deals = (deal(len(sample), folds, seed), deal(len(reference), folds, seed))
    return dealt_auc(sample, reference, deals)


def deal(n: int, folds: int = 4, seed: int = 0) -> NDArray[np.intp]:
    """The fold of each of n showers, alike for equal n.

    Every fold has the same share of both sets, and a set beside itself has both copies of a
    shower in one fold, where they tie.
    """
    return np.random.default_rng(seed).permutation(n) % folds


def dealt_auc(
    sample: Array, reference: Array, deals: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> float:
    """Mean over folds of the AUC on the showers that the fold's classifier has not seen."""
    sets = standardise(sample, reference)
    x1, x0 = (np.concatenate([rows, rows**2, np.ones((len(rows), 1))], axis=1) for rows in sets)
    found = []
    for fold in np.unique(deals[0]):
        in1, in0 = deals[0] == fold, deals[1] == fold
        if not in0.any():
            continue  # a resample of a few showers can miss a fold
        train1, train0 = x1[~in1], x0[~in0]
        ridge = 1e-3 * (len(train1) + len(train0)) * np.eye(x1.shape[1])
        gram = train1.T @ train1 + train0.T @ train0 + ridge
        weights = np.linalg.solve(gram, 0.5 * (train1.sum(0) - train0.sum(0)))
        found.append(auc(x1[in1] @ weights, x0[in0] @ weights))
    return float(np.mean(found))


def auc(found: Array, wanted: Array) -> float:
    """Chance that a score of `found` is above one of `wanted`; a tie counts half."""
    ordered = np.sort(wanted)
    below = np.searchsorted(ordered, found, "left") + np.searchsorted(ordered, found, "right")
    return float(below.mean() / (2 * len(wanted)))


def standardise(sample: Array, reference: Array) -> tuple[Array, Array]:
    """Shift and scale both by the reference's mean and spread, clipped to 30 spreads."""
    mean = reference.mean(0)
    spread = reference.std(0) + 1e-3 * (np.abs(mean) + 1e-3)
    return (
        np.clip((sample - mean) / spread, -30, 30),
        np.clip((reference - mean) / spread, -30, 30),
    )


def _shrunk_covariance(x: Array) -> Array:
    """Ledoit-Wolf covariance: (1 - a) S + a tr(S)/d I, a in [0, 1] from the data."""
    n, d = x.shape
    centred = x - x.mean(0)
    s = centred.T @ centred / n
    m = np.trace(s) / d
    delta = (np.sum(s**2) - d * m**2) / d
    noise = (np.mean(np.sum(centred**2, axis=1) ** 2) - np.sum(s**2)) / (n * d)
    a = min(noise, delta) / delta if delta > 0 else 1.0
    shrunk: Array = (1 - a) * s + a * m * np.eye(d)
    return shrunk
