"""One pass over features and labels that several scores are read from, and that merges.

Moments about the mean, so that neither offsets nor the order of merging cost digits. No row is
kept: laboratories can send each other Grams instead of showers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array, one_hot, table

Precision = type[np.float32] | type[np.float64]
_BLOCK = 4096  # rows that are centred and summed in the given precision


@dataclass(frozen=True)
class Gram:
    """Sums over n rows; c = x - mean and e = y - target_mean.

    xx : sum c c^T, (d, d)
    xy : sum c e^T, (d, T)
    yy : sum e^2, (T,)
    cubes : sum |c|^2 c, (d,); lets `fourth` follow a moved mean
    fourth : sum |c|^4
    eps : rounding of one number
    """

    n: int
    mean: Array
    target_mean: Array
    xx: Array
    xy: Array
    yy: Array
    cubes: Array
    fourth: float
    eps: float


@dataclass(frozen=True)
class Spectrum:
    """A Gram in the basis of the eigenvectors v of xx.

    values : eigenvalues l, (d,), rising; those below rounding are 0
    projected : v^T xy, (d, T)
    """

    n: int
    values: Array
    projected: Array
    yy: Array
    target_mean: Array
    fourth: float


def gram(features: Any, targets: Any, precision: Precision = np.float64) -> Gram:
    """Sum up features (n, d) and targets.

    Parameters
    ----------
    targets : (n, T) or (n,) floats for a regression; (n,) labels of another kind are classes
    precision : float32 is twice as fast, its sums are kept as float64; LogME is right to 2e-5
        for n > d and to 1e-3 for n < d

    Raises
    ------
    UsageError
        One row, rows that do not match, or values that are not finite.
    """
    x = np.asarray(features)
    y = np.asarray(targets)
    y = one_hot(y) if y.ndim == 1 and y.dtype.kind != "f" else table(y, "targets")
    if x.ndim != 2 or len(x) < 2 or len(x) != len(y):
        raise UsageError(
            f"features of shape {x.shape}, {len(y)} rows of targets",
            "give two rows or more of features, and one target for each",
        )
    mean, target_mean = x.mean(0, dtype=np.float64), y.mean(0)
    if not np.isfinite(mean).all():
        table(x, "features")  # says which column
    d = x.shape[1]
    total = np.zeros((d + y.shape[1],) * 2)
    cubes, fourth = np.zeros(d), 0.0
    offset = mean.astype(x.dtype) if x.dtype.kind == "f" else mean
    # Features beside targets, so that one symmetric product gives all; fresh pages cost as much.
    buffer = np.empty((min(_BLOCK, len(x)), len(total)), precision)
    for start in range(0, len(x), _BLOCK):
        block = buffer[: len(x) - start]
        end, c = start + len(block), block[:, :d]
        np.subtract(x[start:end], offset, out=c, casting="same_kind")
        np.subtract(y[start:end], target_mean, out=block[:, d:], casting="same_kind")
        total += block.T @ block
        square = np.einsum("ij,ij->i", c, c)
        cubes += square @ c
        fourth += float(square @ square)
    xx, xy, yy = total[:d, :d], total[:d, d:], np.diag(total)[d:]
    eps = float(np.finfo(precision).eps)
    return Gram(len(x), mean, target_mean, xx, xy, yy, cubes, fourth, eps)


def merge(one: Gram, other: Gram) -> Gram:
    """The Gram of the rows of both."""
    if one.xy.shape != other.xy.shape:
        raise UsageError(
            f"Grams of {one.xy.shape} and of {other.xy.shape} features and targets",
            "merge Grams of one model's features and of the same targets",
        )
    n = one.n + other.n
    mean = (one.n * one.mean + other.n * other.mean) / n
    target_mean = (one.n * one.target_mean + other.n * other.target_mean) / n
    a, b = (_about(part, mean, target_mean) for part in (one, other))
    summed = {
        name: getattr(a, name) + getattr(b, name) for name in ("xx", "xy", "yy", "cubes", "fourth")
    }
    return Gram(n, mean, target_mean, **summed, eps=max(one.eps, other.eps))


def _about(part: Gram, mean: Array, target_mean: Array) -> Gram:
    """The same sums about other means."""
    a, b = part.mean - mean, part.target_mean - target_mean
    square, trace = float(a @ a), float(np.trace(part.xx))
    along = part.xx @ a
    moved = {
        "mean": mean,
        "target_mean": target_mean,
        "xx": part.xx + part.n * np.outer(a, a),
        "xy": part.xy + part.n * np.outer(a, b),
        "yy": part.yy + part.n * b**2,
        "cubes": part.cubes + trace * a + 2 * along + part.n * square * a,
        "fourth": part.fourth
        + 4 * float(a @ along + a @ part.cubes)
        + 2 * square * trace
        + part.n * square**2,
    }
    kept = {f.name: getattr(part, f.name) for f in fields(part)}
    return Gram(**{**kept, **moved})


def spectrum(found: Gram) -> Spectrum:
    """Diagonalise a Gram: the one step of order d^3 that LogME and both H-scores share."""
    precision: Precision = np.float32 if found.eps > 1e-10 else np.float64
    # numpy's own always works in double, and other drivers take three times as long.
    values, vectors = eigh(found.xx.astype(precision), driver="evd")
    values = values.astype(np.float64)
    # Roundings of that many terms add up at random.
    rounding = found.eps * max(found.n, len(values)) ** 0.5 * values[-1]
    values = np.where(values > max(rounding, 0.0), values, 0.0)
    values[: max(len(values) - found.n + 1, 0)] = 0.0  # n centred rows span n - 1 dimensions
    projected: NDArray[np.float64] = (vectors.T @ found.xy.astype(precision)).astype(np.float64)
    return Spectrum(found.n, values, projected, found.yy, found.target_mean, found.fourth)


def shrinkage(found: Spectrum) -> tuple[float, float]:
    """Ledoit and Wolf (2004): weight a of the identity, and the mean variance m.

    The shrunk covariance is (1 - a) S + a m I with S = xx / n.
    """
    d, values = len(found.values), found.values / found.n
    mean = float(values.sum()) / d
    squares = float(values @ values)
    spread = (squares - d * mean**2) / d
    noise = (found.fourth / found.n - squares) / (found.n * d)
    return (min(noise, spread) / spread if spread > 0 else 1.0), mean
