"""Every score, baseline and stack against the stored truth."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.transfer.protocol import (
    SPLITS,
    Places,
    ceiling,
    interval,
    judged,
    main_effect,
    over_targets,
    p_better,
    places,
    trials,
)
from benchmarks.transfer.scratch import scratch_figures
from benchmarks.transfer.stored import DRAWS_OF, SIZES, Truth
from benchmarks.transfer.ways import BASELINES, Way, fit, table, ways
from catalog.scoring.scores.arrays import Array
from catalog.scoring.stack import Cell, forecast

OURS = "stack"
MAIN_SIZE = 100
_COVERED = 3  # repeats for intervals: each leaves out every target once more


@dataclass(frozen=True)
class Line:
    """One way under one split. targets (T,): positions;  values (T, 3): `protocol.judged`."""

    way: Way
    targets: Array
    values: Array


def figures(truth: Truth, quick: bool = False) -> dict[str, Any]:
    """All figures at the main size, and the stack at every other size that has enough targets."""
    found: dict[str, Any] = {
        "showers": MAIN_SIZE,
        "cells": cells(truth),
        "main_effect": _short(main_effect(truth, MAIN_SIZE)),
        "cpu_s": {
            "fine_tune": _short(np.nanmedian(truth.run_s)),
            **dict(zip(map(str, truth.names), map(_short, truth.seconds_of), strict=True)),
        },
    }
    repeats = 1 if quick else 6
    for split in SPLITS:
        print(f"judging every score, split {split!r}", file=sys.stderr, flush=True)
        found[split] = of_split(truth, MAIN_SIZE, split, repeats)
    found |= scratch_figures(truth, known_to(OURS, truth, MAIN_SIZE), MAIN_SIZE)
    for n in (n for n in SIZES if n != MAIN_SIZE and _enough(truth, n)):
        found[f"lodo_{n}"] = of_split(truth, n, "lodo", repeats)
    return found


def cells(truth: Truth) -> dict[str, dict[str, int]]:
    """How much truth there is, per number of showers."""
    known, scored = np.isfinite(truth.reached), np.isfinite(truth.scores).any(-1)
    return {
        f"n{n}": {
            "runs": int(known[s].sum()),
            "scored": int(scored[s].sum()),
            "of": len(truth.targets) * len(truth.sources) * DRAWS_OF[n],
            "targets": int(known[s].any((1, 2)).sum()),
            "sources": int(known[s].any((0, 1)).sum()),
            "draws": int(known[s].any((0, 2)).sum()),
            "scratch": int(np.isfinite(truth.scratch[s]).sum()),
        }
        for s, n in enumerate(SIZES)
    }


def of_split(truth: Truth, n: int, split: str, repeats: int) -> dict[str, Any]:
    """The stack's figures, and those of every other way beside them."""
    lines = lines_of(truth, n, split, ways(truth), repeats)
    if OURS not in lines:
        return {"targets": 0, "tau_w": None}
    ours = lines[OURS]
    covered, width = coverage(truth, n, split, min(repeats, _COVERED))
    top, judged_twice = ceiling(truth, n)
    return {
        **_numbers(ours),
        "targets": len(ours.targets),
        "trained": covered is not None,
        "coverage80": covered,
        "interval_factor": width,
        "ceiling": _short(top),
        "ceiling_targets": judged_twice,
        "share_of_ceiling": _short(ours.values[:, 0].mean() / top) if top else None,
        "p_worst_baseline": max(
            _p(ours, lines[name]) for name in BASELINES if name in lines and name != OURS
        ),
        "scores": {
            name: {**_numbers(line), "tier": line.way.tier, "p": _p(ours, line)}
            for name, line in sorted(lines.items(), key=lambda item: -item[1].values[:, 0].mean())
        },
    }


def lines_of(
    truth: Truth, n: int, split: str, asked: Mapping[str, Way], repeats: int
) -> dict[str, Line]:
    """Every way that has something to order, judged."""
    columns, known = _all(truth, asked, n)
    seen: dict[str, list[tuple[int, Array]]] = {name: [] for name in asked}
    for trial in trials(truth, known, split, repeats):
        for name, way in asked.items():
            place = [columns.index(column) for column in way.columns]
            order = way.learn([_only(cell, place) for cell in trial.train])
            for cell in trial.tests:
                reached = np.asarray(cell.reached)
                seen[name].append((trial.target, judged(order(_only(cell, place)), reached)))
    return {name: Line(asked[name], *over_targets(found)) for name, found in seen.items() if found}


def coverage(truth: Truth, n: int, split: str, repeats: int) -> tuple[float | None, float | None]:
    """Share of outcomes in their 80 % interval, mean over targets; and high / low of it."""
    found = []
    for trial in trials(truth, known_to(OURS, truth, n), split, repeats):
        stack = fit(trial.train, intervals=True)
        for cell in trial.tests:
            seen, reached = forecast(stack, cell), np.asarray(cell.reached)
            if np.isfinite(seen.predicted).all():
                inside = np.mean((seen.low <= reached) & (reached <= seen.high))
                width = np.log(seen.high / seen.low).mean()
                found.append((trial.target, np.array([inside, width])))
    if not found:
        return None, None
    means = over_targets(found)[1].mean(0)
    return _short(means[0]), _short(np.exp(means[1]))


def known_to(name: str, truth: Truth, n: int) -> Places:
    """Cells with the columns of one way."""
    return _all(truth, {name: ways(truth)[name]}, n)[1]


def _all(truth: Truth, asked: Mapping[str, Way], n: int) -> tuple[list[str], Places]:
    """All columns that some way uses, and the cells with all of them."""
    columns = list(dict.fromkeys(column for way in asked.values() for column in way.columns))
    return columns, places(truth, table(truth, columns), n)


def _only(cell: Cell, columns: list[int]) -> Cell:
    return replace(cell, scores=cell.scores[:, columns])


def _numbers(line: Line) -> dict[str, Any]:
    tau, first, third = line.values.T
    return {
        "tau_w": _short(tau.mean()),
        "tau_w_95": interval(tau),
        "worst_target": _short(tau.min()),
        "regret1": _short(first.mean()),
        "regret3": _short(third.mean()),
    }


def _p(ours: Line, theirs: Line) -> float | None:
    """Of the targets that both were judged on."""
    both = np.intersect1d(ours.targets, theirs.targets)
    if not len(both):
        return None
    one, other = (x.values[np.isin(x.targets, both), 0] for x in (ours, theirs))
    return round(p_better(one, other), 4)


def _enough(truth: Truth, n: int) -> bool:
    both = np.isfinite(truth.reached) & np.isfinite(truth.scores).any(-1)
    return int(both[SIZES.index(n)].any((1, 2)).sum()) >= 3


def _short(value: Any) -> float | None:
    return None if value is None else round(float(value), 3)
