"""From recorded adaptations to a prediction: deliberately simple until the log is long.

Prediction = the median over recorded runs with similar showers and steps, of the metric reached
(scratch) or of its ratio to the zero-shot distance (adapting); the range is what those runs
spanned. It is not a calibrated interval and is not called one. No prediction is below the floor of
its runs: no model can be nearer to full simulation than full simulation is to itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from catalog.adapt.log import Adaptation
from catalog.compat import particle_class

_SIMILAR = 3.0  # runs within this factor in showers and in steps are evidence
_STEPS = 800  # the default of `catalog adapt`, for which predictions are made
_MIN_RUNS = 3  # fewer have no range


@dataclass(frozen=True)
class Prediction:
    """w1_geomean after adapting; `runs` is how many recorded runs it rests on."""

    predicted: float
    low: float
    high: float
    runs: int


def evidence(
    log: Iterable[Adaptation], target_digest: str, pdg: int, showers: int
) -> list[Adaptation]:
    """Runs that may inform a prediction.

    With the same class of particles and similar numbers of showers and steps; never on the
    target's own showers.
    """

    def similar(a: float, b: float) -> bool:
        return 1 / _SIMILAR <= a / b <= _SIMILAR

    return [
        run
        for run in log
        if run.target_digest != target_digest
        and particle_class(run.pdg) == particle_class(pdg)
        and similar(run.showers, showers)
        and similar(run.steps, _STEPS)
    ]


def predict_scratch(runs: list[Adaptation]) -> Prediction | None:
    """The metric that training from scratch reached; None with too few runs."""
    used = [run for run in runs if run.strategy == "scratch"]
    return _summary([run.reached for run in used], used)


def predict_adapted(
    runs: list[Adaptation], family: str | None, zero_shot: float
) -> Prediction | None:
    """The metric after adapting a model of `family` that starts at `zero_shot`."""
    used = [
        run for run in runs if run.strategy != "scratch" and run.family == family and run.zero_shot
    ]
    return _summary([zero_shot * run.reached / (run.zero_shot or 1) for run in used], used)


def predict_seconds(log: Iterable[Adaptation], family: str | None) -> float | None:
    """Median wall time of recorded runs of a family; None without a run."""
    seconds = [run.seconds for run in log if run.family == family]
    return float(np.median(seconds)) if seconds else None


def _summary(values: list[float], runs: list[Adaptation]) -> Prediction | None:
    if len(values) < _MIN_RUNS:
        return None
    floor = float(np.median([run.floor for run in runs]))
    bounded = [max(value, floor) for value in values]
    return Prediction(float(np.median(bounded)), min(bounded), max(bounded), len(values))
