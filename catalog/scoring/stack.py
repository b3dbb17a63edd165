"""The stack: many scores made one forecast, trained on recorded adaptations only.

Within a target, scores and outcomes are z-scored over models and a ridge regression goes from one
to the other (a score tells which model, never how hard a target is), shrunk towards equal weights:
the fewer the outcomes, the nearer to the mean of all scores. A model's history on *other* targets,
shrunk by how short it is, is one more score. How hard the target is comes from a second
regression, on a few numbers of the target itself; its interval is split-conformal over targets
(arXiv 1905.02928): residuals of every target when everything was trained without it.

With fewer than `FEWEST` targets there is nothing to train on: models are ordered by rank average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array
from catalog.scoring.scores.baselines import popularity

FEWEST = 8  # targets from which on the stack is trained
COVERED = 0.8  # share of outcomes that an interval holds
PENALTY = 50.0  # of the ridge, in outcomes
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
    told = [_Told(cell, z_scores(cell.scores), _labels(cell)) for cell in cells]
    stack = _fitted(told, tuple(names), penalty)
    if stack.weights is None or not intervals:
        return stack
    off: tuple[list[float], list[float]] = ([], [])
    targets = dict.fromkeys(cell.target for cell in cells)
    for target in targets:
        without = _fitted([t for t in told if t.cell.target != target], tuple(names), penalty)
        standing = _standing(without)
        for cell, x, _ in (t for t in told if t.cell.target == target):
            ln = np.log(np.asarray(cell.reached))
            for known, missed in zip((standing, {}), off, strict=True):
                past = _past(known, cell.models)
                error = np.abs(_ln_reached(without, cell.about, x, past) - ln)
                missed += list(error[np.isfinite(error)])
    margins = [_conformal(missed) for missed in off]
    return replace(stack, margin=margins[0], fresh_margin=margins[1])


def forecast(stack: Stack, cell: Cell) -> Forecast:
    """Order the models of a cell, and say what each would reach."""
    nothing = np.full(len(cell.models), np.nan)
    if stack.weights is None:
        return Forecast(rank_average(cell.scores), nothing, nothing, nothing)
    x, past = z_scores(cell.scores), _past(_standing(stack), cell.models)
    ln = _ln_reached(stack, cell.about, x, past)
    margin = np.where(np.isfinite(past), stack.margin, stack.fresh_margin)
    low, high = np.exp(ln - margin), np.exp(ln + margin)
    return Forecast(_position(stack, x, past), np.exp(ln), low, high)


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


class _Told(NamedTuple):
    """A cell with its z-scores (M, F) and labels (M,)."""

    cell: Cell
    x: Array
    label: Array


def _fitted(told: Sequence[_Told], names: tuple[str, ...], penalty: float) -> Stack:
    """Everything but the margins."""
    models = tuple(dict.fromkeys(model for t in told for model in t.cell.models))
    targets = tuple(dict.fromkeys(t.cell.target for t in told))
    known = _history(told, models, targets)
    nothing, wide = np.zeros(0), math.inf
    empty = Stack(names, None, nothing, models, known, nothing, 0.0, wide, wide)
    if len(targets) < FEWEST:
        return empty
    # What was known of the models without the target that a row is about.
    standing = [_standing(empty, [place]) for place in range(len(targets))]
    pasts = [_past(standing[targets.index(t.cell.target)], t.cell.models) for t in told]
    number = {target: sum(t.cell.target == target for t in told) for target in targets}
    x = np.vstack(
        [np.column_stack([t.x, np.nan_to_num(p)]) for t, p in zip(told, pasts, strict=True)]
    )
    y = np.concatenate([t.label for t in told])
    weight = np.concatenate([np.full(len(t.label), 1 / number[t.cell.target]) for t in told])
    keep = np.isfinite(y)
    if not keep.any():
        return empty
    x, y, weight = x[keep], y[keep], weight[keep]
    fresh = _near_equal(x[:, :-1], y, weight, penalty)
    stack = replace(empty, weights=_near_equal(x, y, weight, penalty), fresh=fresh)
    level, slope = _scale(stack, told, pasts)
    return replace(stack, level=level, slope=slope)


def _scale(stack: Stack, told: Sequence[_Told], pasts: Sequence[Array]) -> tuple[Array, float]:
    """Level and slope of ln reached: of a target, and of a model within it."""
    about, level, moved, off = [], [], [], []
    for (cell, x, _), past in zip(told, pasts, strict=True):
        ln = np.log(np.asarray(cell.reached))
        keep = np.isfinite(ln)
        if not keep.any():
            continue
        position = _position(stack, x, past)[keep]
        about.append(cell.about)
        level.append(ln[keep].mean())
        moved.append(position - position.mean())
        off.append(ln[keep] - ln[keep].mean())
    table = np.array(about)
    centre, spread = table.mean(0), table.std(0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    mean = float(np.mean(level))
    found = _ridge((table - centre) / spread, np.array(level) - mean, np.ones(len(table)), 3.0)
    offset = mean - float((found / spread) @ centre)
    a, b = np.concatenate(moved), np.concatenate(off)
    slope = float(a @ b / max(float(a @ a), 1e-12))
    return np.append(found / spread, offset), min(slope, 0.0)


def _ln_reached(stack: Stack, about: Array, x: Array, past: Array) -> Array:
    if stack.weights is None:
        return np.full(len(x), np.nan)
    position = _position(stack, x, past)
    found: Array = np.append(about, 1.0) @ stack.level + stack.slope * (position - position.mean())
    return found


def _position(stack: Stack, x: Array, past: Array) -> Array:
    """Where the stack sees each model within its target, in z: (M,)."""
    seen = np.column_stack([x, np.nan_to_num(past)]) @ np.asarray(stack.weights)
    return np.where(np.isfinite(past), seen, x @ stack.fresh)


def _standing(stack: Stack, without: Sequence[int] = ()) -> dict[str, float]:
    """Shrunk mean standing on targets but `without` of every model that was adapted to others."""
    if stack.history.shape[1] <= len(without):
        return {}
    known = np.isfinite(np.delete(stack.history, list(without), axis=1))
    shrunk = popularity(stack.history, without)
    rows = zip(stack.models, shrunk, known, strict=True)
    return {model: float(value) for model, value, on in rows if on.any()}


def _past(standing: Mapping[str, float], models: tuple[str, ...]) -> Array:
    """One value per model, NaN of one without a history: (M,)."""
    return np.array([standing.get(model, np.nan) for model in models])


def _history(told: Sequence[_Told], models: tuple[str, ...], targets: tuple[str, ...]) -> Array:
    """Mean z-score of every model on every target: (models, targets), NaN where never adapted."""
    total = np.zeros((len(models), len(targets)))
    count = np.zeros_like(total)
    place = {model: i for i, model in enumerate(models)}
    for cell, _, label in told:
        keep, column = np.isfinite(label), targets.index(cell.target)
        rows = np.array([place[model] for model in cell.models])[keep]
        total[rows, column] += label[keep]
        count[rows, column] += 1
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


def _near_equal(x: Array, y: Array, weights: Array, penalty: float) -> Array:
    """Ridge regression whose penalty is on the distance from equal weights, as large as fit y."""
    total = x.sum(1)
    equal = max(float((weights * total) @ y / max(float((weights * total) @ total), 1e-12)), 0.0)
    found: Array = equal + _ridge(x, y - equal * total, weights, penalty)
    return found


def _ridge(x: Array, y: Array, weights: Array, penalty: float) -> Array:
    """Ridge regression without intercept: all columns are centred already."""
    heavy = x * weights[:, None]
    gram: Any = heavy.T @ x + penalty * np.eye(x.shape[1])
    found: Array = np.linalg.solve(gram, heavy.T @ y)
    return found


def _conformal(off: Sequence[float]) -> float:
    """The absolute residual below which `COVERED` of them lie.

    No (T + 1) / T for the finite number of targets: each was left out by a stack of T - 1 targets,
    whose residuals are larger than those of the stack of all, and both together cover too much.
    """
    return float(np.quantile(off, COVERED, method="higher")) if off else math.inf
