"""Adapt, start from scratch, or neither: an explicit rule, and its reasons in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from catalog.adapt.log import Adaptation
from catalog.scoring.doubts import energies_doubt
from catalog.scoring.predict import Prediction, learn, predict_scratch
from catalog.scoring.verdict import Past, Rule, calibrate
from catalog.showers import ShowerSet

Verdict = Literal["adapt", "scratch", "nothing-fits"]
Covered = tuple[float | None, float | None]  # the energies of a model, GeV
_KNOWN_TARGETS = 3  # fewer do not tell how far is too far
_UNTOLD = 1.0  # spreads; nearer than this is worth adapting while nothing is recorded


@dataclass(frozen=True)
class Best:
    """What speaks for the model `ref` that is put first; see `candidates.Candidate`.

    nearest : the least zero-shot distance of any model
    tried, tried_scratch : w1_geomean after a few steps of training, of it and of scratch
    """

    ref: str
    nearest: float
    prediction: Prediction | None
    tried: float | None = None
    tried_scratch: float | None = None

    @property
    def ahead(self) -> bool:
        """Whether it was tried, and is nearer than scratch after as many steps."""
        return None not in (self.tried, self.tried_scratch) and self.tried <= self.tried_scratch  # type: ignore[operator]


def decide(
    best: Best, scratch: Prediction | None, runs: Sequence[Adaptation]
) -> tuple[Verdict, str]:
    """The verdict and why. Checked in this order, the first that applies answers."""
    past = past_of(runs)
    rule = calibrate(past)
    known = len(past) >= _KNOWN_TARGETS
    if known and math.log(best.nearest) > rule.furthest and not best.ahead:
        return "nothing-fits", (
            f"even the nearest model starts {best.nearest:.2g} spreads away, further than "
            f"{math.exp(rule.furthest):.2g}: far beyond where recorded adaptations began"
        )
    if best.prediction is None or scratch is None:
        return _untold(best)
    return _compared(best, best.prediction, scratch, rule if known else None)


def nothing_possible(
    target: ShowerSet, covered: Sequence[Covered], excluded: Sequence[tuple[str, str]]
) -> str:
    """Why no model is left: the commonest reasons first."""
    if not covered:
        return "the catalog knows no shower generator: catalog sync, or publish one"
    known = [(low, high) for low, high in covered if low is not None and high is not None]
    reasons = Counter(why for _, why in excluded).most_common(3)
    words = "; ".join(f"{why} ({count} of {len(covered)})" for why, count in reasons)
    energies = any("GeV only" in why for _, why in excluded)
    asked = energies_doubt(target, known) if energies else ""
    if any("times the visible energy" in why for _, why in excluded):
        asked = "; are the units and the sampling fraction right?"
    return f"no model of the catalog can be adapted to this target: {words}{asked}"


def past_of(runs: Sequence[Adaptation]) -> list[Past]:
    """Of every target with both kinds of runs: what was forecast without it, and what came."""
    found = []
    for key in dict.fromkeys((run.target, run.pdg) for run in runs):
        own = [run for run in runs if (run.target, run.pdg) == key]
        rest = [run for run in runs if run.target != key[0]]  # nothing of its calorimeter
        adapted = [run for run in own if run.strategy != "scratch" and run.zero_shot]
        scratch, learned = predict_scratch(_thrice(own)), learn(rest)
        if not adapted or scratch is None:
            continue
        told = [
            (learned.predict(r.family, r.model, math.log(r.zero_shot or 1.0)), r)
            for r in adapted
            if learned.knows(r.family)
        ]
        known = [(forecast.predicted, run.model) for forecast, run in told if forecast]
        if not known:
            continue
        forecast, first = min(known)
        nearest = min(math.log(run.zero_shot or 1.0) for run in adapted)
        of_first = [run.reached for run in adapted if run.model == first]
        found.append(Past(math.log(forecast), nearest, _mean(of_first), scratch.predicted))
    return found


def _thrice(runs: Sequence[Adaptation]) -> list[Adaptation]:
    """One scratch run is enough to know what happened; three are asked for to predict."""
    return [run for run in runs for _ in range(3)]


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def _untold(best: Best) -> tuple[Verdict, str]:
    """Nothing recorded to compare with."""
    if best.tried is not None and best.tried_scratch is not None:
        return ("adapt" if best.ahead else "scratch"), (
            f"{_steps(best)}; too few recorded runs to predict where both end"
        )
    if best.nearest < _UNTOLD:
        return "adapt", (
            "models start within one spread of the target; no recorded runs yet, so this is not "
            "compared with training from scratch"
        )
    return "scratch", (
        "even the nearest model starts more than one spread away from the target; no recorded "
        "runs yet"
    )


def _steps(best: Best) -> str:
    return (
        f"after as many steps {best.ref} is at {best.tried:.3g} and scratch at "
        f"{best.tried_scratch:.3g}"
    )


def _compared(
    best: Best, known: Prediction, scratch: Prediction, rule: Rule | None
) -> tuple[Verdict, str]:
    """By what recorded runs predict; by the rule that would have been right on them, if it is.

    A few steps of training bound both: what is reached is not lost again. A pretrained model is
    ahead at first, so if scratch is, nothing that was recorded elsewhere speaks for adapting.
    """
    adapted, fresh = known.predicted, scratch.predicted
    both, tried = f"{adapted:.3g} expected from {best.ref}, {fresh:.3g} from scratch", ""
    if best.tried is not None and best.tried_scratch is not None:
        if not best.ahead:
            return "scratch", f"scratch is ahead already: {_steps(best)}; recorded runs say {both}"
        adapted, fresh = min(adapted, best.tried), min(fresh, best.tried_scratch)
        tried = f"; {_steps(best)}, which bounds where they end"
    if math.log(adapted / fresh) > (rule.offset if rule else 0.0):
        return "scratch", f"training from scratch is expected to end lower: {both}{tried}"
    return "adapt", f"adapting is expected to end lower: {both}{tried}"
