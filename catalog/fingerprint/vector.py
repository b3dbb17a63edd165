"""The short vector: a fingerprint as 139 numbers in the index, by which thousands are ranked.

Order, float32:
  0, 1   log10 of the lowest and the highest energy covered, GeV
  2      log10 of the number of showers
  3      1 if their mean response was normalised to 1, else 0
  4 ...  per recorded observable: mean = m0 + m1 x + m2 x^2, ln(spread) = s0 + s1 x, as m0, m1, m2,
         s0, s1; x = log10(E / 10 GeV), spread at one energy, both in the observable's unit
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from catalog.fingerprint.axes import ENERGY_EDGES, FEWEST, LOW, NAMES, RECORDED, STEP, Array
from catalog.fingerprint.distances import FURTHEST, LEAST_W1
from catalog.fingerprint.sums import Fingerprint

Vector = NDArray[np.float32]
_HEAD, _EACH, _POWERS = 4, 5, 3
VECTOR_LENGTH = _HEAD + _EACH * RECORDED
_LEAST_SPREAD = 1e-6


def vector_of(showers: Fingerprint) -> Vector | None:
    """The short vector: (139,); None if no bin of energy has enough showers to be compared."""
    n = showers.n.sum(1)
    if not (n >= FEWEST).any():
        return None
    rows = np.flatnonzero(n >= FEWEST)
    ends = np.log10([ENERGY_EDGES[rows[0]], ENERGY_EDGES[rows[-1] + 1]])
    head = [*ends, np.log10(n[rows].sum()), float(showers.own_scale > 0)]
    curves = _curves(n[rows], *_along_energy(showers, rows))
    return np.concatenate([head, curves.ravel()]).astype("<f4")


def stack(vectors: Sequence[bytes]) -> Vector:
    """Vectors as stored, in one table: (M, 139); a row of NaN where one is missing or damaged."""
    lost = np.full(VECTOR_LENGTH, np.nan, "<f4").tobytes()
    whole = b"".join(v if len(v) == len(lost) else lost for v in vectors)
    return np.frombuffer(whole, "<f4").reshape(-1, VECTOR_LENGTH)


def rank(target: Fingerprint, vectors: Vector) -> Array:
    """Distance of every model to a target, from short vectors alone: (M,), smaller is nearer.

    Both sides are Gaussian at every energy, along the curves of their vectors. The mean over the
    target's energies of their W1, in spreads of all its showers; the geometric mean over
    observables. Energies that a model does not cover are judged where it ends. Infinite if it
    covers none, or has no vector.
    """
    n = target.n.sum(1)
    bins = np.flatnonzero(n)
    result = np.full(len(vectors), np.inf)
    if not len(bins):
        return result
    ends = np.log10([ENERGY_EDGES[bins[0]], ENERGY_EDGES[bins[-1] + 1]])
    near = (vectors[:, 0] < ends[1]) & (vectors[:, 1] > ends[0]) & np.isfinite(vectors).all(1)
    table = vectors[near].astype(np.float64)
    logs = np.log(np.maximum(_w1(target, bins, table), LEAST_W1))
    own = (table[:, 3] > 0) | (target.own_scale > 0)
    logs[own, NAMES.index("response")] = np.nan
    result[near] = np.exp(np.nanmean(logs, axis=1))
    return result


def _w1(target: Fingerprint, bins: NDArray[np.intp], table: Array) -> Array:
    """W1 per model and recorded observable: (M, 27), in spreads of the target's showers."""
    n = target.n.sum(1)[bins]
    share = n / n.sum()
    x, mean, spread = _along_energy(target, bins)
    wanted = _curves(n, x, mean, spread)
    centre = share @ mean
    whole = np.sqrt(share @ (spread**2 + (mean - centre) ** 2)) + 1e-3 * (np.abs(centre) + 1e-3)
    curves = table[:, _HEAD:].reshape(len(table), RECORDED, _EACH)
    total = np.zeros((len(table), RECORDED))
    for b, each in enumerate(share):
        at = np.clip(x[b], table[:, 0] - 1, table[:, 1] - 1)[:, None]
        (m, s), (m0, s0) = _at(curves, at), _at(wanted, x[b])
        total += each * np.minimum(_folded((m - m0) / whole, (s - s0) / whole), FURTHEST)
    return total


def _at(curves: Array, x: Array) -> tuple[Array, Array]:
    """Mean and spread of every observable at log10(E / 10 GeV)."""
    m0, m1, m2, s0, s1 = np.moveaxis(curves, -1, 0)
    return m0 + x * (m1 + x * m2), np.exp(np.clip(s0 + x * s1, -20, 20))


def _along_energy(showers: Fingerprint, rows: NDArray[np.intp]) -> tuple[Array, Array, Array]:
    """log10(E / 10 GeV), mean and spread of the recorded observables in bins of energy."""
    n = showers.n.sum(1)[rows, None]
    level, square = (each.sum(1)[rows] / n for each in (showers.sums, showers.squares))
    mean = (LOW + STEP * (level + 0.5))[:, :RECORDED]
    spread = (STEP * np.sqrt(np.maximum(square - level**2, 0)))[:, :RECORDED]
    # Their difference is the mean logarithm of the energy in the bin.
    depth, less = NAMES.index("depth_mean"), NAMES.index("depth_minus_ln_e")
    return (mean[:, depth] - mean[:, less]) / np.log(10) - 1, mean, spread


def _curves(n: NDArray[np.int64], x: Array, mean: Array, spread: Array) -> Array:
    """m0, m1, m2, s0, s1 of every observable: (F, 5)."""
    means = _fitted(x, mean, n, _POWERS)
    spreads = _fitted(x, np.log(spread + _LEAST_SPREAD), n, _EACH - _POWERS)
    return np.vstack([means, spreads]).T


def _fitted(x: Array, y: Array, n: NDArray[np.int64], powers: int) -> Array:
    """Least squares in powers of x, no more of them than there are points: (powers, F)."""
    table, weight = np.vander(x, powers, increasing=True), np.sqrt(n)[:, None]
    table[:, len(x) :] = 0
    found = np.linalg.lstsq(table * weight, y * weight, rcond=1e-6)[0]
    return np.asarray(found, float)


def _folded(shift: Array, width: Array) -> Array:
    """W1 of two Gaussians: the mean of |shift + width Z|."""
    s = np.abs(width) + 1e-12
    z = shift / s
    found: Array = s * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + shift * erf(z / np.sqrt(2))
    return found
