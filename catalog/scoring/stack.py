"""The stack: many scores made one forecast, trained on recorded adaptations only.

Within a target, scores and outcomes are z-scored over models and a ridge regression goes from one
to the other (a score tells which model, never how hard a target is). A model's history on *other*
targets, shrunk by how short it is, is one more score. How hard the target is comes from a second
regression, on a few numbers of the target itself; its interval is split-conformal over targets
(arXiv 1905.02928): residuals of every target when everything was trained without it.

With fewer than `FEWEST` targets there is nothing to train on: models are ordered by rank average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array
from catalog.scoring.scores.baselines import popularity

FEWEST = 8  # targets from which on the stack is trained
COVERED = 0.8  # share of outcomes that an interval holds
PENALTY = 10.0  # of the ridge, in outcomes
_COMPARED = 3  # outcomes that a target needs, to be ordered at all


@dataclass(frozen=True)
class Cell:
    """All models on one target with one number of showers.

    target : rows of one target are never split between training and forecast
    models : (M,) names, by which a model's history is found
    scores : (M, F), higher is better; NaN where unknown
    about : (A,) what the target itself tells of how hard it is, e.g. ln of the nearest distance
    reached : (M,) w1_geomean after adapting, NaN where nobody did; None to forecast
    """

    target: str
    models: tuple[str, ...]
    scores: Array
    about: Array
    reached: Array | None = None


@dataclass(frozen=True)
class Stack:
    """What was learnt. `weights` is None until there are `FEWEST` targets.

    weights : (F + 1,), of z-scores, the last one that of the history
    fresh : (F,), the same for a model without history, which scores alone have to place
    history : (models, targets), z-scores of -ln reached, by which models are known
    level, slope : ln reached of a target's mean model, and per standard deviation of z
    margin, fresh_margin : half width of the interval of ln reached of a model with and without
        history; infinite without `FEWEST` targets
    """

    names: tuple[str, ...]
    weights: Array | None
    fresh: Array
    models: tuple[str, ...]
    history: Array
    level: Array
    slope: float
    margin: float
    fresh_margin: float


@dataclass(frozen=True)
class Forecast:
    """Of every model of a cell: `order`, higher is better, and w1_geomean with its interval.

    Without a trained stack `predicted` is NaN: a rank has no unit.
    """

    order: Array
    predicted: Array
    low: Array
    high: Array


def train_stack(
    cells: Sequence[Cell],
    names: Sequence[str],
    penalty: float = PENALTY,
    intervals: bool = True,
) -> Stack:
    """Learn from cells with outcomes; without `intervals` in a tenth of the time.

    Raises
    ------
    UsageError
        A cell has another number of scores than there are names, or no outcomes.
    """
    for cell in cells:
        _check(cell, len(names))
    stack = _fitted(cells, tuple(names), penalty)
    if stack.weights is None or not intervals:
        return stack
    off: tuple[list[float], list[float]] = ([], [])
    targets = dict.fromkeys(cell.target for cell in cells)
    for target in targets:
        without = _fitted([c for c in cells if c.target != target], tuple(names), penalty)
        unknown = replace(without, models=(), history=np.zeros((0, 0)))
        for cell in (c for c in cells if c.target == target):
            for learnt, missed in zip((without, unknown), off, strict=True):
                error = np.abs(_ln_reached(learnt, cell) - np.log(np.asarray(cell.reached)))
                missed += list(error[np.isfinite(error)])
    margins = [_conformal(missed, len(targets)) for missed in off]
    return replace(stack, margin=margins[0], fresh_margin=margins[1])


def forecast(stack: Stack, cell: Cell) -> Forecast:
    """Order the models of a cell, and say what each would reach."""
    nothing = np.full(len(cell.models), np.nan)
    if stack.weights is None:
        return Forecast(rank_average(cell.scores), nothing, nothing, nothing)
    ln = _ln_reached(stack, cell)
    known = np.isfinite(_past(stack, cell.models))
    margin = np.where(known, stack.margin, stack.fresh_margin)
    low, high = np.exp(ln - margin), np.exp(ln + margin)
    return Forecast(_position(stack, cell), np.exp(ln), low, high)


def rank_average(scores: Array) -> Array:
    """Mean over scores of the rank among the models, in (0, 1], higher is better: (M,).

    Untrained. Ties share their ranks; what is unknown counts as the middle.
    """
    known = np.isfinite(scores)
    ranks = np.stack([rankdata(column) for column in np.where(known, scores, 0).T], axis=1)
    for column in np.flatnonzero(~known.all(0)):
        rows = known[:, column]
        ranks[:, column] = (len(scores) + 1) / 2
        if rows.any():
            share = (rankdata(scores[rows, column]) - 0.5) / rows.sum()
            ranks[rows, column] = share * len(scores) + 0.5
    found: Array = ranks.mean(1) / len(scores)
    return found


def z_scores(values: Array) -> Array:
    """Every column in its own standard deviations over models; 0 where unknown or constant."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, values, 0).sum(0) / count
    off = np.where(known, values - mean, 0)
    spread = np.sqrt((off**2).sum(0) / count)
    found: Array = off / np.where(spread > 1e-12, spread, 1.0)
    return found


def _check(cell: Cell, names: int) -> None:
    models, outcomes = len(cell.models), 0 if cell.reached is None else len(cell.reached)
    if outcomes != models or cell.scores.shape != (models, names):
        raise UsageError(
            f"target {cell.target!r}: {models} models, {names} names, but scores of shape "
            f"{cell.scores.shape} and {outcomes} outcomes",
            "give one row per model, one column per name, and what every model reached",
        )


def _fitted(cells: Sequence[Cell], names: tuple[str, ...], penalty: float) -> Stack:
    """Everything but the margins."""
    models = tuple(dict.fromkeys(model for cell in cells for model in cell.models))
    targets = tuple(dict.fromkeys(cell.target for cell in cells))
    known = _history(cells, models, targets)
    nothing, wide = np.zeros(0), math.inf
    empty = Stack(names, None, nothing, models, known, nothing, 0.0, wide, wide)
    if len(targets) < FEWEST:
        return empty
    rows, labels, weights = [], [], []
    for cell in cells:
        label = _labels(cell)
        keep = np.isfinite(label)
        past = _past(empty, cell.models, [targets.index(cell.target)])
        rows.append(np.column_stack([z_scores(cell.scores), np.nan_to_num(past)])[keep])
        labels.append(label[keep])
        share = 1 / sum(other.target == cell.target for other in cells)
        weights.append(np.full(int(keep.sum()), share))
    x, y, weight = np.vstack(rows), np.concatenate(labels), np.concatenate(weights)
    if not len(y):
        return empty
    fresh = _ridge(x[:, :-1], y, weight, penalty)
    stack = replace(empty, weights=_ridge(x, y, weight, penalty), fresh=fresh)
    level, slope = _scale(stack, cells, targets)
    return replace(stack, level=level, slope=slope)


def _scale(stack: Stack, cells: Sequence[Cell], targets: tuple[str, ...]) -> tuple[Array, float]:
    """Level and slope of ln reached: of a target, and of a model within it."""
    about, level, moved, told = [], [], [], []
    for cell in cells:
        ln = np.log(np.asarray(cell.reached))
        keep = np.isfinite(ln)
        if not keep.any():
            continue
        position = _position(stack, cell, [targets.index(cell.target)])[keep]
        about.append(np.append(cell.about, 1.0))
        level.append(ln[keep].mean())
        moved.append(position - position.mean())
        told.append(ln[keep] - ln[keep].mean())
    x = np.array(about)
    centre, spread = x[:, :-1].mean(0), x[:, :-1].std(0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    x[:, :-1] = (x[:, :-1] - centre) / spread
    mean = float(np.mean(level))
    found = _ridge(x[:, :-1], np.array(level) - mean, np.ones(len(x)), 3.0)
    offset = mean - float((found / spread) @ centre)
    a, b = np.concatenate(moved), np.concatenate(told)
    slope = float(a @ b / max(float(a @ a), 1e-12))
    return np.append(found / spread, offset), min(slope, 0.0)


def _ln_reached(stack: Stack, cell: Cell) -> Array:
    if stack.weights is None:
        return np.full(len(cell.models), np.nan)
    position = _position(stack, cell)
    level = float(np.append(cell.about, 1.0) @ stack.level)
    found: Array = level + stack.slope * (position - position.mean())
    return found


def _position(stack: Stack, cell: Cell, without: Sequence[int] = ()) -> Array:
    """Where the stack sees each model within the cell, in z: (M,)."""
    x, past = z_scores(cell.scores), _past(stack, cell.models, without)
    seen = np.column_stack([x, np.nan_to_num(past)]) @ np.asarray(stack.weights)
    return np.where(np.isfinite(past), seen, x @ stack.fresh)


def _past(stack: Stack, models: tuple[str, ...], without: Sequence[int] = ()) -> Array:
    """Shrunk mean standing on targets but `without`; NaN of a model that nobody has adapted."""
    if stack.history.size == 0 or stack.history.shape[1] <= len(without):
        return np.full(len(models), np.nan)
    kept = np.delete(stack.history, list(without), axis=1)
    shrunk = popularity(stack.history, without)
    told = np.where(np.isfinite(kept).any(1), shrunk, np.nan)
    standing = dict(zip(stack.models, told, strict=True))
    return np.array([standing.get(model, np.nan) for model in models])


def _history(cells: Sequence[Cell], models: tuple[str, ...], targets: tuple[str, ...]) -> Array:
    """Mean z-score of every model on every target: (models, targets), NaN where never adapted."""
    total = np.zeros((len(models), len(targets)))
    count = np.zeros_like(total)
    place = {model: i for i, model in enumerate(models)}
    for cell in cells:
        label = _labels(cell)
        keep = np.isfinite(label)
        rows = np.array([place[model] for model in cell.models])[keep]
        total[rows, targets.index(cell.target)] += label[keep]
        count[rows, targets.index(cell.target)] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _labels(cell: Cell) -> Array:
    """z-scores of -ln reached; NaN where unknown, or where too few are known to compare."""
    label: Array = -np.log(np.asarray(cell.reached, dtype=np.float64))
    keep = np.isfinite(label)
    if keep.sum() < _COMPARED:
        return np.full(len(label), np.nan)
    found: Array = z_scores(np.where(keep, label, np.nan)[:, None])[:, 0]
    found[~keep] = np.nan
    return found


def _ridge(x: Array, y: Array, weights: Array, penalty: float) -> Array:
    """Ridge regression without intercept: all columns are centred already."""
    heavy = x * weights[:, None]
    gram: Any = heavy.T @ x + penalty * np.eye(x.shape[1])
    found: Array = np.linalg.solve(gram, heavy.T @ y)
    return found


def _conformal(off: Sequence[float], targets: int) -> float:
    """The quantile of absolute residuals that covers `COVERED` of a further target's."""
    level = COVERED * (1 + 1 / targets)
    return float(np.quantile(off, min(level, 1.0), method="higher")) if off else math.inf
