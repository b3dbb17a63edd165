"""What a score has to beat. All give one value per model, (M,); higher is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array, table


def random(models: int, seed: int = 0) -> Array:
    """An order drawn from a seed."""
    return np.random.default_rng(seed).random(models)


def popularity(z: Any, without: Sequence[int]) -> Array:
    """Mean z-score of a model over other targets, shrunk by how few they are.

    z . tau^2 / (tau^2 + sigma^2 / T), tau^2 the variance between models, sigma^2 within one,
    T the targets it was seen on. A model that was never seen gets 0, the mean model's.

    Parameters
    ----------
    z : (M, T), z-scores of -ln metric within each target; NaN where there is no run
    without : targets to leave out: the held-out one, and in training also the row's own
    """
    known = np.delete(np.asarray(z, dtype=np.float64), list(without), axis=1)
    seen = np.isfinite(known)
    count = seen.sum(1)
    mean = np.where(seen, known, 0).sum(1) / np.maximum(count, 1)
    squares = np.where(seen, known - mean[:, None], 0) ** 2
    within = squares.sum() / max(int((count - 1).clip(0).sum()), 1)
    noise = within / np.maximum(count, 1)
    judged = count > 0
    spread = mean[judged].var(ddof=1) - noise[judged].mean() if judged.sum() > 1 else 0.0
    between = max(float(spread), 0.0)
    return np.where(judged, mean * between / np.maximum(between + noise, 1e-12), 0.0)


def self_quality(distance: Any) -> Array:
    """-ln of each model's own published distance to its own detector's showers."""
    values: Array = -np.log(np.maximum(table(distance, "distances", rows=1)[:, 0], 1e-6))
    return values


def parameters(count: Any) -> Array:
    """ln of each model's number of parameters."""
    values: Array = np.log(np.maximum(table(count, "parameters", rows=1)[:, 0], 1.0))
    return values


def metadata(models: Any, target: Any) -> Array:
    """Minus the distance of geometries: root mean square, in spreads over the models.

    Parameters
    ----------
    models : (M, G), e.g. `catalog.domain.geometry.Geometry` of each model; NaN where unknown
    target : (G,), likewise; what either does not tell is left out
    """
    rows, wanted = np.asarray(models, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if rows.ndim != 2 or wanted.shape != rows.shape[1:]:
        raise UsageError(
            f"geometries of shape {rows.shape} beside one of shape {wanted.shape}",
            "give the same numbers of every model and of the target",
        )
    known = np.isfinite(rows)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, rows, 0).sum(0) / count
    spread = np.sqrt((np.where(known, rows - mean, 0) ** 2).sum(0) / count)
    away = (rows - wanted) / np.where(spread > 0, spread, np.maximum(np.abs(mean), 1e-12))
    told = np.isfinite(away)
    squares = np.where(told, away, 0) ** 2
    return np.where(told.any(1), -np.sqrt(squares.sum(1) / np.maximum(told.sum(1), 1)), -np.inf)
