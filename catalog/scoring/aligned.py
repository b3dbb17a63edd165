"""A model's showers as they would be once their simplest statistics are right."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array

_LEAST = 1e-9


def aligned(generated: Array, gev: Array, target: Array, target_gev: Array) -> Array:
    """The generated observables with the target's line in ln E and spread about it: (n, F).

    Every recipe first sets marginal statistics from the few showers (`calibrate`), so a wrong mean
    or spread costs nothing, and what is left to learn is shapes and correlations. Lines rather than
    bins of energy: 40 showers fill no bins.

    Parameters
    ----------
    generated, target : (n, F) and (m, F), observables;  gev, target_gev : (n,) and (m,)
    """
    found, off = _line(generated, gev)
    wanted, spread = _line(target, target_gev)
    at = np.vander(np.log(gev), 2)
    scale = spread / np.maximum(off, _LEAST * (1 + np.abs(found).max(0)))
    # A column that is constant in the model's showers cannot be given a spread.
    scale = np.where(off > _LEAST * (1 + np.abs(found).max(0)), scale, 0.0)
    moved: Array = (generated - at @ found) * scale + at @ wanted
    return moved


def _line(values: Array, gev: Array) -> tuple[Array, Array]:
    """Slope and offset in ln E of every column (2, F), and the spread about it (F,)."""
    at = np.vander(np.log(gev), 2)
    fit = np.linalg.lstsq(at, values, rcond=None)[0]
    return np.asarray(fit, float), np.asarray((values - at @ fit).std(0), float)
