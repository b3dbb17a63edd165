"""Whether the rule says scratch where scratch was better, by truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.transfer.protocol import Places, trials
from benchmarks.transfer.stored import SIZES, Truth
from benchmarks.transfer.ways import fit
from catalog.scoring.stack import forecast
from catalog.scoring.verdict import Past, calibrate


@dataclass(frozen=True)
class Known:
    """One target at one draw; `best` is what the best adaptation reached."""

    target: int
    past: Past
    best: float


def scratch_figures(truth: Truth, known: Places, n: int) -> dict[str, Any]:
    """`scratch_right`: share of targets whose verdict is that of the truth, rule learnt on others.

    By truth scratch is right where tuned scratch reached less than the best adaptation.
    """
    found = list(_known(truth, known, n))
    right: dict[int, list[bool]] = {}
    better = set()
    for each in found:
        rule = calibrate([other.past for other in found if other.target != each.target])
        said = rule.answer(each.past.forecast, each.past.nearest, 1)
        truly = "scratch" if each.past.scratch < each.best else "adapt"
        right.setdefault(each.target, []).append(said == truly)
        better |= {each.target} if truly == "scratch" else set()
    if not right:
        return {"scratch_right": None, "scratch_targets": 0, "scratch_better": 0}
    share = float(np.mean([np.mean(answers) for answers in right.values()]))
    return {
        "scratch_right": round(share, 3),
        "scratch_targets": len(right),
        "scratch_better": len(better),
    }


def _known(truth: Truth, known: Places, n: int) -> list[Known]:
    found, near = [], list(truth.names).index("w1_geomean")
    for trial in trials(truth, known, "lodo"):
        stack = fit(trial.train)
        draws = [d for t, d in known if t == trial.target]
        for draw, cell in zip(draws, trial.tests, strict=True):
            scratch = tuned(truth, n, trial.target, draw)
            seen, reached = forecast(stack, cell), np.asarray(cell.reached)
            first = int(np.argmax(seen.order))
            if np.isfinite(scratch) and np.isfinite(seen.predicted[first]):
                scores = truth.scores[SIZES.index(n), trial.target, draw, :, near]
                ln = float(np.log(seen.predicted[first]))
                past = Past(ln, -float(np.nanmax(scores)), float(reached[first]), scratch)
                found.append(Known(trial.target, past, float(reached.min())))
    return found


def tuned(truth: Truth, n: int, target: int, draw: int) -> float:
    """The best setting of scratch on the other draws, geometric mean over them; NaN if unknown."""
    ln = np.log(truth.scratch[SIZES.index(n), target, [d for d in truth.draws if d != draw]])
    known = ln[np.isfinite(ln).all(1)]
    return float(np.exp(known.mean(0).min())) if len(known) else np.nan
