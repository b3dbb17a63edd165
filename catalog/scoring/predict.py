"""From recorded adaptations to a prediction: deliberately simple until the log is long.

Prediction = the median over recorded runs at a similar number of showers, of the metric reached
(scratch) or of its ratio to the zero-shot distance (adapting); the range is what those runs
spanned. It is not a calibrated interval and is not called one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from catalog.adapt.log import Adaptation

_SIMILAR = 3.0  # runs within this factor in the number of showers are evidence


@dataclass(frozen=True)
class Prediction:
    """w1_geomean after adapting; `runs` is how many recorded runs it rests on."""

    predicted: float
    low: float
    high: float
    runs: int


def evidence(log: Iterable[Adaptation], target_digest: str, showers: int) -> list[Adaptation]:
    """Runs that may inform a prediction: similar n, and never the target's own showers."""
    return [
        run
        for run in log
        if run.target_digest != target_digest and 1 / _SIMILAR <= run.showers / showers <= _SIMILAR
    ]


def predict_scratch(runs: list[Adaptation]) -> Prediction | None:
    """The metric that training from scratch reached; None without a run."""
    return _summary([run.reached for run in runs if run.strategy == "scratch"])


def predict_adapted(
    runs: list[Adaptation], family: str | None, zero_shot: float
) -> Prediction | None:
    """The metric after adapting a model of `family` that starts at `zero_shot`."""
    ratios = [
        run.reached / run.zero_shot
        for run in runs
        if run.strategy != "scratch" and run.family == family and run.zero_shot
    ]
    return _summary([zero_shot * ratio for ratio in ratios])


def predict_seconds(log: Iterable[Adaptation], family: str | None) -> float | None:
    """Median wall time of recorded runs of a family; None without a run."""
    seconds = [run.seconds for run in log if run.family == family]
    return float(np.median(seconds)) if seconds else None


def _summary(values: list[float]) -> Prediction | None:
    if not values:
        return None
    return Prediction(float(np.median(values)), min(values), max(values), len(values))
