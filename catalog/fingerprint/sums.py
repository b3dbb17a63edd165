"""A fixed-size statistical summary of showers, per bin of energy and angle.

Every observable is rounded down to one of 4096 levels of a fixed axis, and all that is kept are
sums of whole numbers. So a fingerprint of two sets together is the sum of their fingerprints to
the last bit, in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.errors import UsageError
from catalog.fingerprint.axes import (
    BINS,
    ENERGY_EDGES,
    GROUP_OF_BIN,
    GROUPS,
    LOW,
    NAMES,
    PAIRS,
    RECORDED,
    STEP,
    Array,
    levels_of,
    place,
)
from catalog.fingerprint.histograms import Histograms, added, empty, histograms
from catalog.physics.observables import Observables, observe
from catalog.showers import Showers, fraction_of

Ints = NDArray[np.int64]
FORMAT = 1
MAX_SHOWERS = 10_000_000  # so that float64 holds every sum, and a file stays below 50 kB
_FEATURES = len(NAMES)


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Sums over showers in E energy bins x A angle bins, of the levels of F observables.

    n : (E, A);  sums, squares : (E, A, F)
    products : (GROUPS, 351), of pairs of recorded observables, per decade, all angles together
    cells : histograms, (E, A, F)
    outside : showers beyond all bins, which count nowhere else
    own_scale : showers whose sampling fraction is unknown, so that their mean response is 1
    """

    n: Ints
    sums: Ints
    squares: Ints
    products: Ints
    cells: Histograms
    outside: int = 0
    own_scale: int = 0

    def __len__(self) -> int:
        return int(self.n.sum())

    @property
    def mean(self) -> Array:
        """Mean of every observable, in its unit: (E, A, F); NaN in empty bins."""
        n = np.where(self.n, self.n, np.nan)[..., None]
        found: Array = LOW + STEP * (self.sums / n + 0.5)
        return found

    @property
    def sd(self) -> Array:
        """Its standard deviation (divided by n): (E, A, F); NaN in empty bins."""
        n = np.where(self.n, self.n, np.nan)[..., None]
        found: Array = STEP * np.sqrt(np.maximum(self.squares / n - (self.sums / n) ** 2, 0))
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of all numbers: equal for equal fingerprints, however a file compresses them."""
        found = hashlib.sha256(f"fingerprint {FORMAT} {self.outside} {self.own_scale}".encode())
        for array in (self.n, self.sums, self.squares, self.products, *self.cells):
            found.update(np.ascontiguousarray(array, "<i8").tobytes())
        return f"sha256:{found.hexdigest()}"


def fingerprint(showers: Showers, least: int = 1) -> Fingerprint:
    """The fingerprint of showers, chunk by chunk: memory does not grow with the file.

    Parameters
    ----------
    least : leave out showers in bins that hold fewer than these

    Raises
    ------
    UsageError
        No shower is within 0.0464 .. 10,000 GeV, there are too many, the detector has no layer
        stack, or an observable is not finite.
    """
    bins = place(showers.incident_gev, showers.theta_rad)
    dense = np.bincount(bins[bins >= 0], minlength=BINS[0] * BINS[1]) >= least
    rows = np.flatnonzero((bins >= 0) & dense[bins])
    if not len(rows):
        raise UsageError(
            f"{showers.source or 'the showers'}: none to take a fingerprint of",
            f"give showers of {ENERGY_EDGES[0]:.3g} to {ENERGY_EDGES[-1]:,.0f} GeV"
            + (f", at least {least} in a bin of energy" if least > 1 else ""),
        )
    if len(rows) > MAX_SHOWERS:  # before an hour of work
        raise _too_many()
    fraction, known = _scale(showers)
    parts = (observe(part, fraction) for part in showers.take(rows).chunks())
    found = merge(summary(part, known) for part in parts)
    return merge([found, _nothing(outside=int((bins < 0).sum()))])


def _scale(showers: Showers) -> tuple[float, bool]:
    """Their sampling fraction, and whether it is known: stated, or 1 where all is read out."""
    stated, slabs = showers.detector.sampling_fraction, showers.detector.slabs()
    if stated is None and slabs and all(slab.active for slab in slabs):
        stated = 1.0
    return (fraction_of(showers), False) if stated is None else (stated, True)


def summary(seen: Observables, known: bool = True) -> Fingerprint:
    """The fingerprint of observables; `known` is whether their response means anything.

    Raises
    ------
    UsageError
        A value is not a number.
    """
    table = np.column_stack([seen.values, seen.column("shower_max_x0")])
    bad = np.flatnonzero(~np.isfinite(table).all(0))
    if len(bad):
        raise UsageError(
            f"{', '.join(NAMES[i] for i in bad)}: not finite in every shower", "check the energies"
        )
    bins, levels = place(seen.incident_gev, seen.theta_rad), levels_of(table)
    inside = bins >= 0
    made = _nothing(int((~inside).sum()), 0 if known else int(inside.sum()))
    for number in np.unique(bins[inside]):
        at, rows = divmod(int(number), BINS[1]), levels[bins == number]
        made.n[at] = len(rows)
        made.sums[at], made.squares[at] = rows.sum(0), (rows**2).sum(0)
        made.products[GROUP_OF_BIN[at[0]]] += _gram(rows)[PAIRS]
        for whole, part in zip(made.cells, histograms(rows), strict=True):
            whole[at] = part
    return made


def merge(parts: Iterable[Fingerprint]) -> Fingerprint:
    """The fingerprint of all showers together.

    Raises
    ------
    UsageError
        More showers than a fingerprint holds, or no part at all.
    """
    found: Fingerprint | None = None
    for part in parts:
        found = part if found is None else _plus(found, part)
        if len(found) > MAX_SHOWERS:
            raise _too_many()
    if found is None:
        raise UsageError("nothing to merge")
    return found


def _too_many() -> UsageError:
    return UsageError(f"a fingerprint holds at most {MAX_SHOWERS:,} showers", "give fewer")


def _plus(one: Fingerprint, other: Fingerprint) -> Fingerprint:
    return Fingerprint(
        n=one.n + other.n,
        sums=one.sums + other.sums,
        squares=one.squares + other.squares,
        products=one.products + other.products,
        cells=added(one.cells, other.cells),
        outside=one.outside + other.outside,
        own_scale=one.own_scale + other.own_scale,
    )


def _nothing(outside: int = 0, own_scale: int = 0) -> Fingerprint:
    wide = (*BINS, _FEATURES)
    sums, squares = np.zeros((2, *wide), np.int64)
    products = np.zeros((GROUPS, len(PAIRS[0])), np.int64)
    cells = Histograms(*(array.copy() for array in empty(*wide)))
    return Fingerprint(np.zeros(BINS, np.int64), sums, squares, products, cells, outside, own_scale)


def _gram(levels: Ints) -> Ints:
    """Products of all columns, summed over rows: exact, because float64 holds them."""
    values = levels[:, :RECORDED].astype(np.float64)
    return np.asarray(values.T @ values, np.int64)
