"""The order of probed models, and what each would reach: rank average, log, or trained stack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import weightedtau

from catalog.adapt.log import Adaptation
from catalog.scoring.card_scores import CARD_SCORES
from catalog.scoring.predict import Learned, Prediction, learn
from catalog.scoring.scores.arrays import Array
from catalog.scoring.stack import (
    COVERED,
    FEWEST,
    Cell,
    Forecast,
    Stack,
    forecast,
    rank_average,
    train_stack,
)

# A wrong mean or spread costs nothing, because every recipe sets these from the showers first: so
# two distances once they are right, the fit, and what the card tells. By the mean rank while
# nothing is trained. Chosen by `catalog bench transfer`, where they are `ways.FEW`.
RANKED = ("fit", "aligned_energy", "aligned_frechet", *CARD_SCORES)
_FAR = 3.0  # spreads
_COMPARED = 3  # models of a target, to learn an order from
_LEAST = 1e-4  # w1_geomean of a record; its logarithm is learnt


@dataclass(frozen=True)
class Entrant:
    """A model as the order sees it; `scores` are of `catalog.scoring.probe`."""

    digest: str
    family: str | None
    zero_shot: float
    scores: dict[str, float]


@dataclass(frozen=True)
class Placed:
    """Of every entrant, in the order given: `place` (1 is best) and what it would reach.

    rank : mean rank over the scores, before anything recorded counts
    calibrated : whether the interval was measured on left-out targets, enough of them
    """

    place: tuple[int, ...]
    rank: tuple[float, ...]
    predictions: tuple[Prediction | None, ...]
    calibrated: bool


@dataclass(frozen=True)
class Judge:
    """What was learnt from the log, once for all targets. `stack` is None where it is not used."""

    learned: Learned
    stack: Stack | None = None
    runs: int = 0


def judge_of(runs: Sequence[Adaptation]) -> Judge:
    """Learn from the runs that may inform a recommendation (`predict.evidence`).

    From `stack.FEWEST` targets on, each is left out once: that measures the interval, and whether
    the stack would have ordered the models of a target that it has not seen better.
    """
    learned, tables = learn(runs), _tables(runs)
    cells = [_cell_of(table) for table in tables]
    if len({cell.target for cell in cells}) < FEWEST:
        return Judge(learned)
    ours, stacked, off = [], [], []
    for cell, table in zip(cells, tables, strict=True):
        rest = Judge(learn([run for run in runs if run.target != cell.target]))
        other = train_stack([c for c in cells if c.target != cell.target], RANKED, intervals=False)
        reached = np.log(np.asarray(cell.reached))
        entrants = [_entrant(each[-1]) for each in table.values()]
        placed = place(rest, entrants, 1)
        ours.append(_agreement(-np.array(placed.place), reached))
        stacked.append(_agreement(forecast(other, cell).order, reached))
        known = [rest.learned.knows(each.family) for each in entrants]  # no other is predicted
        told = [p.predicted if p else np.nan for p in placed.predictions]
        off += list(np.abs(np.log(told) - reached)[known])
    margin = float(np.quantile([each for each in off if np.isfinite(each)] or [np.nan], COVERED))
    learned = replace(learned, margin=margin)
    # By more than chance, or it is not worth its complexity; draws of one target are one trial.
    names = np.array([cell.target for cell in cells])
    gained = np.subtract(stacked, ours)
    ahead = np.array([gained[names == name].mean() for name in np.unique(names)])
    if float(ahead.mean()) <= float(ahead.std(ddof=1)) / math.sqrt(len(ahead)):
        return Judge(learned)
    stack = train_stack(cells, RANKED)
    # Targets of fewer than six models do not tell how far off it is of a new one.
    usable = math.isfinite(max(stack.margin, stack.fresh_margin))
    return Judge(learned, stack if usable else None, sum(len(cell.models) for cell in cells))


def _agreement(order: Array, ln_reached: Array) -> float:
    """Weighted Kendall tau: what is best counts most."""
    found = float(weightedtau(order, -ln_reached).statistic)
    return found if math.isfinite(found) else 0.0


def _entrant(run: Adaptation) -> Entrant:
    return Entrant(run.model, run.family, run.zero_shot or 1.0, run.scores)


def place(judge: Judge, entrants: Sequence[Entrant], showers: int) -> Placed:
    """Order models for one target."""
    if not entrants:
        return Placed((), (), (), False)
    scores = _table([_untrained(e) for e in entrants], RANKED)
    ranks = (1 - rank_average(scores)) * len(entrants) + 1
    if judge.stack:
        cell = _cell("", tuple(e.digest for e in entrants), [e.scores for e in entrants], showers)
        found = forecast(judge.stack, cell)
        far = np.array([e.zero_shot > _FAR for e in entrants])  # behind, as while untrained
        order = np.lexsort([ranks, -found.order, far])
        predictions = tuple(_prediction(found, i, judge.runs) for i in range(len(entrants)))
        return Placed(_places(order), tuple(map(float, ranks)), predictions, True)
    ln = _as_ranked([e.zero_shot for e in entrants], ranks)
    pairs = list(zip(entrants, ln, strict=True))
    offsets = [judge.learned.offset(e.family, e.digest, x) for e, x in pairs]
    known = tuple(judge.learned.predict(e.family, e.digest, x) for e, x in pairs)
    order = np.lexsort([ln, np.array(offsets)])
    calibrated = math.isfinite(judge.learned.margin)
    return Placed(_places(order), tuple(map(float, ranks)), known, calibrated)


def cells_of(runs: Sequence[Adaptation]) -> list[Cell]:
    """Recorded runs whose parents' scores were recorded, as the stack is trained on them.

    Three models of a target at least: fewer are no order. All particles on one calorimeter are one
    target: a recommendation for it learns from none of them, so neither may its calibration.
    """
    return [_cell_of(table) for table in _tables(runs)]


def _tables(runs: Sequence[Adaptation]) -> list[dict[str, list[Adaptation]]]:
    """The runs of every model, for each set of showers that enough models were adapted to."""
    groups: dict[tuple[str, int, str, int], dict[str, list[Adaptation]]] = {}
    for run in runs:
        if run.strategy != "scratch" and run.scores:
            key = (run.target, run.pdg, run.target_digest, run.showers)
            groups.setdefault(key, {}).setdefault(run.model, []).append(run)
    return [models for models in groups.values() if len(models) >= _COMPARED]


def _cell_of(table: dict[str, list[Adaptation]]) -> Cell:
    last = [of_model[-1] for of_model in table.values()]
    reached = [np.median([max(r.reached, _LEAST) for r in runs]) for runs in table.values()]
    scores = [run.scores for run in last]
    return _cell(last[0].target, tuple(table), scores, last[0].showers, np.array(reached, float))


def _cell(
    target: str,
    models: tuple[str, ...],
    scores: Sequence[dict[str, float]],
    showers: int,
    reached: Array | None = None,
) -> Cell:
    """How hard a target is, is told by the nearest zero-shot model and the number of showers."""
    table = _table(scores, RANKED)
    nearest = max((each.get("w1_geomean", np.nan) for each in scores), default=np.nan)
    about = np.array([nearest, np.log(showers)])
    return Cell(target, models, table, np.nan_to_num(about), reached)


def _untrained(entrant: Entrant) -> dict[str, float]:
    """What is ranked by. Further out than `_FAR` only the metric counts, behind all others:
    what is that wrong, or does not fluctuate, is not put right by means and spreads.
    """
    if entrant.zero_shot <= _FAR:
        return entrant.scores
    return {name: -math.log(entrant.zero_shot) - 100.0 for name in RANKED}


def _table(scores: Sequence[dict[str, float]], names: Sequence[str]) -> Array:
    return np.array([[each.get(name, np.nan) for name in names] for each in scores], float)


def _as_ranked(zero_shot: Sequence[float], ranks: Array) -> Array:
    """ln zero-shot, dealt out again in the order of the ranks: the k-th best gets the k-th least.

    So a better order than that of one distance keeps the scale that recorded runs are told in.
    """
    ln = np.log(np.maximum(zero_shot, _LEAST))
    dealt = np.empty(len(ln))
    dealt[np.lexsort([ln, ranks])] = np.sort(ln)
    return dealt


def _places(order: NDArray[np.intp]) -> tuple[int, ...]:
    found = np.empty(len(order), int)
    found[order] = np.arange(1, len(order) + 1)
    return tuple(int(each) for each in found)


def _prediction(found: Forecast, i: int, runs: int) -> Prediction:
    return Prediction(float(found.predicted[i]), float(found.low[i]), float(found.high[i]), runs)
