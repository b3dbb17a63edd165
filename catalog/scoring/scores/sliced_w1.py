"""Sliced Wasserstein-1 distance."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, closeness, pair

_DIRECTIONS = 200
_LEVELS = (np.arange(200) + 0.5) / 200


def sliced_w1(generated: Array, target: Array) -> float:
    """-ln of the mean W1 along 200 random unit directions, the same ones in every call."""
    x, y = pair(generated, target)
    directions = np.random.default_rng(0).normal(size=(x.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    ours, theirs = (_quantiles(rows @ directions) for rows in (x, y))
    return closeness(float(np.abs(ours - theirs).mean()))


def _quantiles(x: Array) -> Array:
    """Of every column at 200 levels: one sort, which `np.quantile` is 20 times slower than."""
    ordered = np.sort(x, axis=0)
    at = (len(x) - 1) * _LEVELS
    below = at.astype(np.intp)
    low, high = ordered[below], ordered[np.minimum(below + 1, len(x) - 1)]
    found: Array = low + (at - below)[:, None] * (high - low)
    return found
