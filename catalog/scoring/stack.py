"""The stack: many scores made one forecast, trained on recorded adaptations only.

Within a target, scores and outcomes become normal scores of their ranks over models (a score tells
which model, never how hard a target is; and one hopeless model must not set the scale for all). A
ridge regression goes from one to the other, shrunk towards equal weights: the fewer the outcomes,
the nearer to the mean of all scores. What it missed of a model on *other* targets is added, shrunk
by how few they are (empirical Bayes), and so is what another regression makes of scores that are
not the model's usual ones. How hard the target is comes from a few numbers of the target itself;
the interval is split-conformal over targets (arXiv 1905.02928): residuals of every target when
everything was trained without it.

With fewer than `FEWEST` targets there is nothing to train on: models are ordered by rank average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array

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
    """What was learnt of F scores, M models and T targets; labels are normal scores of -ln reached.

    trained : whether there were `FEWEST` targets; if not, all that follows is empty
    weights : (F,), of normal scores
    moved : (F,), of how far a model's scores are from those it has on other targets
    missed, usual : (M, T) and (M, T, F), labels less what `weights` say, and scores; NaN where
        never adapted
    between, within : variances of `missed`, between models and within one
    level, slope : ln reached of a target's mean model, and per unit of position
    margin, fresh_margin : half width of the interval of ln reached of a model with and without
        history; infinite where it was not measured: the latter needs targets of six models
    """

    names: tuple[str, ...]
    models: tuple[str, ...]
    targets: tuple[str, ...]
    trained: bool
    weights: Array
    moved: Array
    missed: Array
    usual: Array
    between: float = 0.0
    within: float = 1.0
    level: Array = field(default_factory=lambda: np.zeros(0))
    slope: float = 0.0
    margin: float = math.inf
    fresh_margin: float = math.inf

    def forgetting(self) -> Stack:
        """The same without any model's history."""
        return replace(self, models=(), missed=self.missed[:0], usual=self.usual[:0])


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
    """Learn from cells with outcomes.

    Without `intervals` in a tenth of the time, and from one target fewer: as the fits are that
    leave one target out.

    Raises
    ------
    UsageError
        A cell has another number of scores than there are names, or no outcomes.
    """
    for cell in cells:
        _check(cell, len(names))
    told = [_Told(cell, normal_scores(cell.scores), _labels(cell)) for cell in cells]
    stack = _fitted(told, tuple(names), penalty, FEWEST if intervals else FEWEST - 1)
    if not stack.trained or not intervals:
        return stack
    off: list[float] = []
    fresh: list[float] = []
    for target in stack.targets:
        rest = [t for t in told if t.cell.target != target]
        own = [t for t in told if t.cell.target == target]
        off += _errors(_fitted(rest, tuple(names), penalty), own)
        for half in (0, 1):  # a new model is one that nothing was learnt from
            models = stack.models[half::2]
            learnt = _fitted([_some(t, models) for t in rest], tuple(names), penalty)
            fresh += _errors(learnt, [_some(t, stack.models[1 - half :: 2]) for t in own])
    return replace(stack, margin=_conformal(off), fresh_margin=_conformal(fresh))


def _errors(stack: Stack, told: Sequence[_Told]) -> list[float]:
    """Of ln reached, absolute; of those that are known. None of a stack that is not trained."""
    found: list[float] = []
    for cell, x, _ in told if stack.trained else ():
        error = _ln_reached(stack, cell.about, _position(stack, cell, x))
        error = np.abs(error - np.log(np.asarray(cell.reached)))
        found += list(error[np.isfinite(error)])
    return found


def _some(told: _Told, models: Sequence[str]) -> _Told:
    """Some models of a cell, compared with one another only."""
    rows = np.isin(told.cell.models, models)
    cell = replace(
        told.cell,
        models=tuple(np.array(told.cell.models)[rows]),
        scores=told.cell.scores[rows],
        reached=np.asarray(told.cell.reached)[rows],
    )
    return _Told(cell, normal_scores(cell.scores), _labels(cell))


def forecast(stack: Stack, cell: Cell) -> Forecast:
    """Order the models of a cell, and say what each would reach."""
    if not stack.trained:
        nothing = np.full(len(cell.models), np.nan)
        return Forecast(rank_average(cell.scores), nothing, nothing, nothing)
    position = _position(stack, cell, normal_scores(cell.scores))
    ln = _ln_reached(stack, cell.about, position)
    adapted = np.array(stack.models)[np.isfinite(stack.missed).any(1)]
    seen = np.isin(cell.models, adapted)
    margin = np.where(seen, stack.margin, stack.fresh_margin)
    return Forecast(position, np.exp(ln), np.exp(ln - margin), np.exp(ln + margin))


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


def normal_scores(values: Array) -> Array:
    """Quantiles of the normal distribution at the ranks over models; 0 where unknown. Ties share.

    Blom's: Phi^-1((rank - 3/8) / (n + 1/4)).
    """
    found = np.zeros(values.shape)
    for column, into in zip(values.T, found.T, strict=True):
        known = np.isfinite(column)
        if known.any():
            into[known] = ndtri((rankdata(column[known]) - 0.375) / (known.sum() + 0.25))
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
    """A cell with its normal scores (M, F) and labels (M,)."""

    cell: Cell
    x: Array
    label: Array


def _fitted(
    told: Sequence[_Told], names: tuple[str, ...], penalty: float, fewest: int = FEWEST - 1
) -> Stack:
    """Everything but the margins. By default one target of `FEWEST` may be left out."""
    models = tuple(dict.fromkeys(model for t in told for model in t.cell.models))
    targets = tuple(dict.fromkeys(t.cell.target for t in told if np.isfinite(t.label).any()))
    number = {target: sum(t.cell.target == target for t in told) for target in targets}
    used = [t for t in told if t.cell.target in number]
    nothing = np.zeros(len(names))
    if len(targets) < fewest:
        empty = np.zeros((0, 0))
        return Stack(names, models, targets, False, nothing, nothing, empty, empty[..., None])
    keep = [np.isfinite(t.label) for t in used]
    x = np.vstack([t.x[k] for t, k in zip(used, keep, strict=True)])
    y = np.concatenate([t.label[k] for t, k in zip(used, keep, strict=True)])
    share = np.repeat([1 / number[t.cell.target] for t in used], [k.sum() for k in keep])
    weights = _near_equal(x, y, share, penalty)
    off = [(t.label - t.x @ weights)[:, None] for t in used]
    missed = _history(used, models, targets, off)[..., 0]
    usual = _history(used, models, targets, [t.x for t in used])
    stack = Stack(names, models, targets, True, weights, nothing, missed, usual)
    between, within = _spreads(stack.missed)
    stack = replace(stack, between=between, within=within, moved=_moved(stack, penalty))
    level, slope = _scale(stack, used)
    return replace(stack, level=level, slope=slope)


def _spreads(missed: Array) -> tuple[float, float]:
    """Variances between the means of models, noise taken off, and within a model."""
    known = np.isfinite(missed)
    count = known.sum(1)
    mean = np.where(known, missed, 0).sum(1) / np.maximum(count, 1)
    squares = (np.where(known, missed - mean[:, None], 0) ** 2).sum()
    within = float(squares / max(int((count - 1).clip(0).sum()), 1))
    seen = count > 0
    between = mean[seen].var(ddof=1) - (within / count[seen]).mean() if seen.sum() > 1 else 0.0
    return max(float(between), 0.0), max(within, 1e-9)


def _moved(stack: Stack, penalty: float) -> Array:
    """What of `missed` on one target follows from scores unlike those on the others: (F,)."""
    rows, labels = [], []
    for place in range(len(stack.targets)):
        known, mean, usual = _past(stack, [place])
        own = stack.missed[:, place]
        keep = known & np.isfinite(own)
        rows.append((stack.usual[:, place] - usual)[keep])
        labels.append((own - mean)[keep])
    x, y = np.vstack(rows), np.concatenate(labels)
    return _ridge(x, y, np.ones(len(y)), penalty)


def _past(stack: Stack, without: Sequence[int] = ()) -> tuple[NDArray[np.bool_], Array, Array]:
    """Of every model, on targets but `without`: whether adapted, `missed` shrunk, usual scores."""
    missed = np.delete(stack.missed, list(without), axis=1)
    usual = np.delete(stack.usual, list(without), axis=1)
    known = np.isfinite(missed)
    count = known.sum(1)
    share = stack.between / np.maximum(stack.between + stack.within / np.maximum(count, 1), 1e-12)
    mean = np.where(known, missed, 0).sum(1) / np.maximum(count, 1) * share
    scores = np.where(known[..., None], usual, 0).sum(1) / np.maximum(count, 1)[:, None]
    return count > 0, mean, scores


def _position(stack: Stack, cell: Cell, x: Array, without: Sequence[int] = ()) -> Array:
    """Where the stack sees each model within its target, in normal scores: (M,)."""
    found: Array = x @ stack.weights
    known, missed, usual = _past(stack, without)
    place = {model: i for i, model in enumerate(stack.models) if known[i]}
    for row, model in enumerate(cell.models):
        if model in place:
            i = place[model]
            found[row] += missed[i] + (x[row] - usual[i]) @ stack.moved
    return found


def _scale(stack: Stack, told: Sequence[_Told]) -> tuple[Array, float]:
    """Level and slope of ln reached: of a target, and of a model within it."""
    about, level, moved, off = [], [], [], []
    for cell, x, _ in told:
        ln = np.log(np.asarray(cell.reached))
        keep = np.isfinite(ln)
        # What was known of the models without the target that a row is about.
        position = _position(stack, cell, x, [stack.targets.index(cell.target)])[keep]
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


def _ln_reached(stack: Stack, about: Array, position: Array) -> Array:
    found: Array = np.append(about, 1.0) @ stack.level + stack.slope * (position - position.mean())
    return found


def _history(
    told: Sequence[_Told],
    models: tuple[str, ...],
    targets: tuple[str, ...],
    values: Sequence[Array],
) -> Array:
    """Means of (M, F) over the cells with outcomes of a target: (M, T, F), NaN without any."""
    width = values[0].shape[1] if values else 1
    total = np.zeros((len(models), len(targets), width))
    count = np.zeros((len(models), len(targets), 1))
    place = {model: i for i, model in enumerate(models)}
    for each, own in zip(told, values, strict=True):
        keep, column = np.isfinite(each.label), targets.index(each.cell.target)
        rows = np.array([place[model] for model in each.cell.models])[keep]
        total[rows, column] += own[keep]
        count[rows, column] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _labels(cell: Cell) -> Array:
    """Normal scores of -ln reached; NaN where unknown, or where too few are known to compare."""
    label: Array = -np.log(np.asarray(cell.reached, dtype=np.float64))
    keep = np.isfinite(label)
    if keep.sum() < _COMPARED:
        return np.full(len(label), np.nan)
    found: Array = normal_scores(np.where(keep, label, np.nan)[:, None])[:, 0]
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
