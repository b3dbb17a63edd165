"""Histograms of at most `CELLS` cells, whose width doubles until what is seen fits.

A cell is 2^shift levels wide and begins at a multiple of its width. The shift is the least with
which the lowest and the highest level seen are at most `CELLS` cells apart. That depends on these
two only, so histograms of parts give that of the whole, whatever the order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.fingerprint.axes import CELLS, LEVELS

Ints = NDArray[np.int64]
MAX_SHIFT = int(np.log2(LEVELS // CELLS))
_CELL = np.arange(CELLS)


class Histograms(NamedTuple):
    """Any number of histograms: shift and first cell (...), counts (..., CELLS).

    Cell k holds the levels (first + k) 2^shift .. (first + k + 1) 2^shift - 1. Cell 0 is never
    empty, unless all are.
    """

    shift: Ints
    first: Ints
    counts: Ints

    @property
    def starts(self) -> Ints:
        """The lowest level of every cell: (..., CELLS)."""
        return (self.first[..., None] + _CELL) << self.shift[..., None]


def empty(*shape: int) -> Histograms:
    """Histograms of nothing."""
    zero = np.zeros(shape, np.int64)
    return Histograms(zero, zero, np.zeros((*shape, CELLS), np.int64))


def histograms(levels: Ints) -> Histograms:
    """One histogram per column of (N, F), N > 0."""
    low, high = levels.min(0), levels.max(0)
    shift = _least_shift(low, high)
    first = low >> shift
    place = (levels >> shift) - first + CELLS * np.arange(levels.shape[1])
    counts = np.bincount(place.ravel(), minlength=CELLS * levels.shape[1])
    return Histograms(shift, first, counts.reshape(-1, CELLS).astype(np.int64))


def added(one: Histograms, other: Histograms) -> Histograms:
    """The histograms of both together."""
    has = [h.counts.sum(-1) > 0 for h in (one, other)]
    ends = [(h.first << h.shift, _last(h) << h.shift) for h in (one, other)]
    low = np.minimum(*(np.where(k, low, LEVELS) for k, (low, _) in zip(has, ends, strict=True)))
    high = np.maximum(*(np.where(k, high, 0) for k, (_, high) in zip(has, ends, strict=True)))
    any_ = has[0] | has[1]
    low, high = np.where(any_, low, 0), np.where(any_, high, 0)
    shift = _least_shift(low, high)
    first = low >> shift
    counts = _moved(one, shift, first) + _moved(other, shift, first)
    return Histograms(shift, first, counts)


def _least_shift(low: Ints, high: Ints) -> Ints:
    """The least shift that fits `low` .. `high`; cells of that width give it as levels do.

    Levels `CELLS` or more apart at one shift are `CELLS` / 2 or more apart at the next. Taken as
    the starts of cells there, they are `CELLS` or more apart at the first one again.
    """
    shift = np.zeros_like(low)
    for _ in range(MAX_SHIFT):
        shift += (high >> shift) - (low >> shift) >= CELLS
    return shift


def _last(h: Histograms) -> Ints:
    """The last cell with something in it."""
    found: Ints = h.first + np.max(np.where(h.counts > 0, _CELL, 0), axis=-1)
    return found


def _moved(h: Histograms, shift: Ints, first: Ints) -> Ints:
    """The counts in wider cells that begin at `first`."""
    cells = (h.starts >> shift[..., None]) - first[..., None]
    rows = np.arange(h.shift.size).reshape(*h.shift.shape, 1) * CELLS
    full = h.counts > 0
    place = (rows + cells)[full]
    found = np.bincount(place, h.counts[full], minlength=h.counts.size)
    return found.astype(np.int64).reshape(h.counts.shape)
