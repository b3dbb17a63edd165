"""Fingerprints without showers: random values of the observables, as files might give them."""

from __future__ import annotations

import numpy as np

from catalog.fingerprint.axes import (
    BINS,
    CELLS,
    ENERGY_EDGES,
    LEVELS,
    LOW,
    NAMES,
    RECORDED,
    STEP,
)
from catalog.fingerprint.sums import Fingerprint, summary
from catalog.physics.observables import Observables


def observables(n: int, seed: int = 0, spread: float = 0.05, theta: float = 0.0) -> Observables:
    """Normal values around the middle of every axis, energies all over the bins."""
    rng = np.random.default_rng(seed)
    values = LOW + STEP * LEVELS * (0.5 + spread * rng.normal(size=(n, len(NAMES))))
    gev = np.exp(rng.uniform(*np.log(ENERGY_EDGES[[0, -1]]), n))
    empty = np.zeros((n, 0))
    return Observables(
        NAMES[:RECORDED], values[:, :RECORDED], gev, empty, empty, np.empty(0), np.full(n, theta),
        {"shower_max_x0": values[:, -1]}, empty,
    )  # fmt: skip


def taken(n: int, seed: int = 0, **how: float) -> Fingerprint:
    return summary(observables(n, seed, **how))


def largest() -> Fingerprint:
    """As many showers as are allowed, in every bin, over all cells: nothing compresses."""
    rng = np.random.default_rng(0)
    shape = (*BINS, len(NAMES))
    n = np.full(BINS, 10_000_000 // (BINS[0] * BINS[1]))
    width = rng.uniform(0.12, 0.18, (*shape, 1)) * CELLS
    centre = rng.uniform(0.4, 0.6, (*shape, 1)) * CELLS
    density = np.exp(-0.5 * ((np.arange(CELLS) + 0.5 - centre) / width) ** 2)
    counts = rng.multinomial(n[..., None], density / density.sum(-1, keepdims=True))
    made = taken(200_000)
    shift = rng.integers(3, 8, shape)
    first = rng.integers(0, (LEVELS >> shift) - CELLS)
    counts[..., 0] += 1  # a histogram begins with what it holds
    counts[..., CELLS // 2] -= 1
    starts = (first[..., None] + np.arange(CELLS)) << shift[..., None]
    lowest = (counts * starts).sum(-1)
    sums = lowest + rng.integers(0, n[..., None] * ((1 << shift) - 1))
    mean = sums / n[..., None]
    squares = (n[..., None] * (mean**2 + rng.uniform(1, 1e4, shape))).astype(np.int64)
    products = rng.integers(1, 2**40, made.products.shape)
    cells = made.cells._replace(shift=shift, first=first, counts=counts)
    return Fingerprint(n, sums, squares, products, cells)
