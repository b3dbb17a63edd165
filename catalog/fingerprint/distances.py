"""How near two fingerprints are: one set as if it had the energies and angles of the other.

The source (a model) is re-weighted, bin by bin, to the target's spectrum. Bins in which the source
has fewer than `FEWEST` showers are not compared; `covered` says how much of the target is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.fingerprint.axes import (
    FEWEST,
    GROUP_OF_BIN,
    GROUPS,
    LEVELS,
    LOW,
    NAMES,
    PAIRS,
    RECORDED,
    STEP,
    Array,
)
from catalog.fingerprint.sums import Fingerprint
from catalog.physics.distances import gaussian_distance

FURTHEST = 30.0  # spreads; differences further out do not count, as in `w1_per_observable`
LEAST_W1 = 1e-4
_CENTRES: Array = (LOW + STEP * (np.arange(LEVELS)[:, None] + 0.5))[:, :RECORDED]


class _Pooled(NamedTuple):
    """Showers of all bins together, weighted.

    mean (F,);  covariance (27, 27) of the recorded ones;  shares (LEVELS, F) of every level
    effective : showers that give as little noise, unweighted
    """

    mean: Array
    covariance: Array
    shares: Array
    effective: float


@dataclass(frozen=True)
class Nearness:
    """Distances of a source to a target, in spreads of the target; infinite if nothing compares.

    w1_geomean : as `catalog.physics.distances` has it, to the resolution of the histograms
    frechet : squared 2-Wasserstein distance of Gaussians, covariances shrunk
    covered : share of the target's showers in bins that were compared
    """

    w1_geomean: float
    frechet: float
    covered: float


def nearness(source: Fingerprint, target: Fingerprint) -> Nearness:
    """Compare the recorded observables; not the response where it was normalised to 1."""
    here = np.where(source.n >= FEWEST, target.n, 0).astype(np.float64)
    if not here.any():
        return Nearness(np.inf, np.inf, 0.0)
    wanted, found = _pooled(target, here), _pooled(source, here)
    used = np.arange(RECORDED)
    if source.own_scale or target.own_scale:
        used = used[used != NAMES.index("response")]
    return Nearness(
        _w1_geomean(found, wanted, used),
        _frechet(found, wanted, used),
        float(here.sum() / target.n.sum()),
    )


def w1_geomean(source: Fingerprint, target: Fingerprint) -> float:
    """The zero-shot distance of a model to a target; see `nearness`."""
    return nearness(source, target).w1_geomean


def quantiles(showers: Fingerprint, levels: Array) -> Array:
    """Quantiles of every observable over all bins, in its unit: (len(levels), F).

    Off by at most one cell: 2/15 of the range that is seen in a bin, or one level if that is more.
    """
    shares = _pooled(showers, showers.n.astype(np.float64)).shares
    below = np.concatenate([np.zeros((1, len(NAMES))), shares.cumsum(0)])
    edges = np.arange(LEVELS + 1)
    found = [np.interp(levels, below[:, f], edges) for f in range(len(NAMES))]
    result: Array = LOW + STEP * np.stack(found, axis=1)
    return result


def _pooled(showers: Fingerprint, weight: Array) -> _Pooled:
    """Moments and histograms with `weight` (E, A) in place of the showers' own numbers."""
    share, n = weight / weight.sum(), np.maximum(showers.n, 1)
    level = showers.sums / n[..., None]
    centre = np.einsum("ea,eaf->f", share, level)
    off = np.sqrt(share)[..., None] * (level - centre)[..., :RECORDED]
    covariance = np.einsum("eaf,eag->fg", off, off) + _within(showers, share)
    effective = 1 / float(np.sum(share**2 / n))
    scale = np.outer(STEP[:RECORDED], STEP[:RECORDED])
    return _Pooled(
        LOW + STEP * (centre + 0.5), covariance * scale, _shares(showers, share / n), effective
    )


def _within(showers: Fingerprint, share: Array) -> Array:
    """Mean covariance within bins, in levels: spreads of each bin, correlations of its decade."""
    total = np.zeros((RECORDED, RECORDED))
    n = np.maximum(showers.n, 1)[..., None]
    sums, squares = (x[..., :RECORDED] for x in (showers.sums, showers.squares))
    variance = np.maximum(squares / n - (sums / n) ** 2, 0)
    for group in range(GROUPS):
        rows = group == GROUP_OF_BIN
        root = sums[rows] / np.sqrt(n[rows])
        rest = np.zeros_like(total)
        rest[PAIRS] = showers.products[group] - np.einsum("eaf,eag->fg", root, root)[PAIRS]
        spread = np.sqrt(np.maximum((variance[rows] * n[rows]).sum((0, 1)), 1e-9))
        correlation = np.clip((rest + rest.T) / np.outer(spread, spread), -1, 1)
        here = np.sqrt((share[rows][..., None] * variance[rows]).sum((0, 1)))
        total += (correlation + np.eye(RECORDED)) * np.outer(here, here)
    return total


def _shares(showers: Fingerprint, per_shower: Array) -> Array:
    """Share of the weight at every level, even within a cell: (LEVELS, F)."""
    h, columns = showers.cells, len(NAMES)
    at = np.nonzero(h.counts * (per_shower > 0)[..., None, None])
    width = 1 << h.shift[at[:3]]
    start = h.starts[at]
    height = h.counts[at] * per_shower[at[:2]] / width
    steps = np.zeros((LEVELS + 1) * columns)
    np.add.at(steps, start * columns + at[2], height)
    np.add.at(steps, (start + width) * columns + at[2], -height)
    found: Array = steps.reshape(-1, columns)[:-1].cumsum(0)
    return found


def _w1_geomean(found: _Pooled, wanted: _Pooled, used: NDArray[np.intp]) -> float:
    spread, mean = _spread(wanted), wanted.mean[:RECORDED]
    inside = np.abs(_CENTRES - mean) <= FURTHEST * spread
    gap = np.abs((found.shares - wanted.shares)[:, :RECORDED].cumsum(0))
    w1 = STEP[:RECORDED] * (gap * inside).sum(0) / spread
    # Within one cell a histogram sees no difference, but means do; no W1 is below theirs.
    shift = np.minimum(np.abs(found.mean[:RECORDED] - mean) / spread, FURTHEST)
    return float(np.exp(np.log(np.maximum(np.maximum(w1, shift), LEAST_W1))[used].mean()))


def _frechet(found: _Pooled, wanted: _Pooled, used: NDArray[np.intp]) -> float:
    spread, block = _spread(wanted)[used], np.ix_(used, used)
    moments = []
    for each in (found, wanted):
        shift = np.clip((each.mean - wanted.mean)[used] / spread, -FURTHEST, FURTHEST)
        scaled = each.covariance[block] / np.outer(spread, spread)
        moments.append((shift, _shrunk(scaled, each.effective)))
    return max(gaussian_distance(*moments), 0.0)


def _shrunk(s: Array, n: float) -> Array:
    """Oracle approximating shrinkage to tr(S)/d I (arXiv 0907.4698, eq. 23)."""
    d = len(s)
    trace, square = float(np.trace(s)), float(np.sum(s**2))
    over = (n + 1 - 2 / d) * (square - trace**2 / d)
    a = min(((1 - 2 / d) * square + trace**2) / over, 1.0) if over > 0 else 1.0
    shrunk: Array = (1 - a) * s + a * trace / d * np.eye(d)
    return shrunk


def _spread(wanted: _Pooled) -> Array:
    found: Array = np.sqrt(np.diag(wanted.covariance))
    found += 1e-3 * (np.abs(wanted.mean[:RECORDED]) + 1e-3)
    return found
