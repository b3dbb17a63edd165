"""Splits, and how an order of models is judged: inside a target only, never pooled.

A score is computed on the few showers of one draw, and judged by what was reached on the *other*
draws. Values are averaged over the draws and repeats of a target first, then over targets, which
are what is resampled.

    lodo     nothing of the target's detector is in training
    cold     nor is half of the models, which are those to be ordered; `REPEATS` random halves
    family   nor is any model of one family, and that family's models are ordered
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import weightedtau

from benchmarks.transfer.stored import SIZES, Truth
from catalog.scoring.scores.arrays import Array
from catalog.scoring.stack import Cell

SEED = 5
REPEATS = 10
RESAMPLES = 4000
_LOTS = 8
_FEWEST_MODELS = 4  # to be ordered
SPLITS = ("lodo", "cold", "family")


Learn = Callable[[Sequence[Cell]], Callable[[Cell], Array]]  # then an order, higher is better
Places = dict[tuple[int, int], Cell]  # {(target, draw): all models that are known there}


@dataclass(frozen=True)
class Trial:
    """What is learnt from, and what is to be ordered: cells of one target, at its draws."""

    target: int
    train: tuple[Cell, ...]
    tests: tuple[Cell, ...]


def reached_elsewhere(truth: Truth, size: int, target: int, draw: int) -> Array:
    """Geometric mean over the other draws of what each source reached: (M,); NaN where none."""
    others = [d for d in truth.draws if d != draw]
    ln = np.log(truth.reached[size, target, others])
    known = np.isfinite(ln)
    mean = np.where(known, ln, 0).sum(0) / np.maximum(known.sum(0), 1)
    return np.where(known.any(0), np.exp(mean), np.nan)


def places(truth: Truth, scores: Array, n: int) -> Places:
    """Every target at every draw, where scores and outcomes are known; scores (S, T, D, M, F)."""
    size, found = SIZES.index(n), {}
    for t in range(len(truth.targets)):
        for d in truth.draws:
            outcome, scored = reached_elsewhere(truth, size, t, d), truth.scores[size, t, d]
            told = np.isfinite(scored[:, _near(truth)]).all(1)
            rows = np.flatnonzero(np.isfinite(outcome) & told)
            if len(rows) >= _FEWEST_MODELS:
                found[t, d] = Cell(
                    target=str(truth.target_detector[t]),
                    models=tuple(truth.sources[rows]),
                    scores=scores[size, t, d, rows],
                    about=about(truth, size, t, d),
                    reached=outcome[rows],
                )
    return found


def about(truth: Truth, size: int, target: int, draw: int) -> Array:
    """What tells how hard a target is: ln of its own noise, and the best of two scores on it."""
    best = np.nanmax(truth.scores[size, target, draw][:, _near(truth)], axis=0)
    return np.array([np.log(truth.floor[size, target, draw]), *best])


def _near(truth: Truth) -> list[int]:
    return [list(truth.names).index(name) for name in ("w1_geomean", "aligned_w1_geomean")]


def trials(truth: Truth, known: Places, split: str, repeats: int = REPEATS) -> Iterator[Trial]:
    """All trials of a split."""
    for number, (learn, ask) in enumerate(_models(truth, split, repeats)):
        for target in sorted({t for t, _ in known}):
            group = truth.target_detector[target]
            train = [_of(cell, learn) for cell in known.values() if cell.target != group]
            draws = [d for t, d in known if t == target]
            # Every half of the models is asked at one draw only: there are many halves.
            asked = draws if split != "cold" else [draws[number % len(draws)]]
            tests = [_of(known[target, d], ask) for d in asked]
            tests = [cell for cell in tests if len(cell.models) >= _FEWEST_MODELS]
            if tests:
                yield Trial(target, tuple(c for c in train if c.models), tuple(tests))


def _of(cell: Cell, models: Collection[str]) -> Cell:
    """Some models of a cell."""
    rows = [i for i, model in enumerate(cell.models) if model in models]
    return replace(
        cell,
        models=tuple(cell.models[i] for i in rows),
        scores=cell.scores[rows],
        reached=np.asarray(cell.reached)[rows],
    )


def _models(truth: Truth, split: str, repeats: int) -> Iterator[tuple[set[str], set[str]]]:
    """(models learnt from, models ordered); only those that were ever adapted."""
    known = truth.sources[np.isfinite(truth.reached).any((0, 1, 2))]
    family = dict(zip(truth.sources, truth.family, strict=True))
    if split == "lodo":
        yield set(known), set(known)
    elif split == "cold":
        for repeat in range(repeats):
            order = np.random.default_rng([SEED, repeat]).permutation(known)
            half = len(order) // 2
            yield set(order[:half]), set(order[half:])
    else:
        for held in sorted(set(truth.family)):
            yield (
                {m for m in known if family[m] != held},
                {m for m in known if family[m] == held},
            )


def tau_w(order: Array, reached: Array) -> float:
    """Weighted Kendall tau with -ln reached; ties by lot, the mean of `_LOTS` of them.

    A user reads a list from its top: what is tied has an order there, too. Left tied, a score of
    three values would be judged on the few pairs that it dares to order.
    """
    told = np.nan_to_num(order, nan=-1e9)
    lots = _LOTS if len(np.unique(told)) < len(told) else 1
    rng, found = np.random.default_rng(SEED), []
    for _ in range(lots):
        strict = np.argsort(np.lexsort([rng.random(len(told)), told]))
        found.append(weightedtau(strict, -np.log(reached)).statistic)
    return float(np.mean(found))


def regret(order: Array, reached: Array, top: int) -> float:
    """What the best of the first `top` reached, over the best of all, less 1; ties by lot."""
    lot = np.random.default_rng(SEED).permutation(len(order))
    first = lot[np.argsort(-np.nan_to_num(order, nan=-1e9)[lot], kind="stable")][:top]
    return float(reached[first].min() / reached.min() - 1)


def judged(order: Array, reached: Array) -> Array:
    """tau_w, top-1 and top-3 regret: (3,)."""
    return np.array([tau_w(order, reached), regret(order, reached, 1), regret(order, reached, 3)])


def over_targets(found: Sequence[tuple[int, Array]]) -> tuple[NDArray[np.intp], Array]:
    """Means within each target: its positions (T,), and values (T, K)."""
    where = np.array([t for t, _ in found])
    values = np.array([v for _, v in found])
    targets = np.unique(where)
    return targets, np.array([values[where == t].mean(0) for t in targets])


def resampled(targets: int, seed: int = SEED) -> NDArray[np.intp]:
    """Targets drawn with replacement: (RESAMPLES, targets)."""
    return np.random.default_rng(seed).integers(0, targets, (RESAMPLES, targets))


def interval(values: Array) -> list[float]:
    """The 95 % bootstrap interval of a mean over targets."""
    means = values[resampled(len(values))].mean(1)
    return [round(float(q), 3) for q in np.quantile(means, (0.025, 0.975))]


def p_better(ours: Array, theirs: Array) -> float:
    """One-sided paired bootstrap over targets: how often the mean difference is not above 0."""
    means = (ours - theirs)[resampled(len(ours))].mean(1)
    return float((np.sum(means <= 0) + 1) / (RESAMPLES + 1))


def ceiling(truth: Truth, n: int) -> tuple[float | None, int]:
    """tau_w of the truth of one draw with that of the others, and over how many targets.

    None with one draw only.
    """
    size, found = SIZES.index(n), []
    for t in range(len(truth.targets)):
        for d in truth.draws:
            one, rest = truth.reached[size, t, d], reached_elsewhere(truth, size, t, d)
            both = np.isfinite(one) & np.isfinite(rest)
            if both.sum() >= _FEWEST_MODELS:
                found.append((t, np.array([tau_w(-np.log(one[both]), rest[both])])))
    targets = len({t for t, _ in found})
    return (float(over_targets(found)[1].mean()) if found else None), targets


def main_effect(truth: Truth, n: int) -> float | None:
    """Share of the variance of -ln reached within targets that a model's mean over targets has.

    Over the targets on which every model is known. With T targets a share of 1/T would be there by
    chance; it is taken out (omega squared).
    """
    ln = np.log(truth.reached[SIZES.index(n)])
    known = np.isfinite(ln)
    table = np.where(known, ln, 0).sum(1) / np.maximum(known.sum(1), 1)
    models = known.any((0, 1))
    table = table[known.any(1)[:, models].all(1)][:, models]
    if len(table) < 2 or models.sum() < 2:
        return None
    table = table - table.mean(1, keepdims=True)
    t, m = table.shape
    between = t * (table.mean(0) ** 2).sum()
    rest = ((table - table.mean(0)) ** 2).sum() / ((t - 1) * (m - 1))
    return float((between - (m - 1) * rest) / ((table**2).sum() + rest))
