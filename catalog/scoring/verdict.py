"""When to start from scratch, and when nothing fits: by a rule calibrated on recorded runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catalog.scoring.scores.arrays import Array

Answer = Literal["adapt", "scratch", "nothing-fits"]
_NOVEL = 3.0  # how many times further than anything that was ever adapted


@dataclass(frozen=True)
class Past:
    """What a target that somebody adapted to tells of the rule.

    forecast : ln w1_geomean forecast for the model that is put first, without this target's runs
    nearest : ln of the least zero-shot distance of any model
    adapted, scratch : w1_geomean that the model put first, and tuned scratch, reached
    """

    forecast: float
    nearest: float
    adapted: float
    scratch: float


@dataclass(frozen=True)
class Rule:
    """scratch : ln w1_geomean that scratch is expected to reach; furthest : ln of a distance."""

    scratch: float
    furthest: float
    offset: float

    def answer(self, forecast: float, nearest: float, possible: int) -> Answer:
        """The verdict on a target.

        Parameters
        ----------
        forecast, nearest : as in `Past`;  possible : models that can be adapted at all
        """
        if possible == 0 or not nearest < self.furthest:
            return "nothing-fits"
        return "scratch" if forecast > self.scratch + self.offset else "adapt"


def calibrate(past: Sequence[Past]) -> Rule:
    """The rule whose answers were right most often, each weighed by what a wrong one costs.

    A wrong answer costs the logarithm of the ratio of what was reached. Of rules that cost alike
    the one with the least offset is taken.
    """
    scratch = float(np.median([np.log(p.scratch) for p in past])) if past else math.inf
    furthest = max((p.nearest for p in past), default=math.inf) + math.log(_NOVEL)
    if not past:
        return Rule(scratch, math.inf, 0.0)
    ahead = np.array([p.forecast - scratch for p in past])
    gain = np.array([math.log(p.scratch / p.adapted) for p in past])  # above 0: adapting is right
    edges = np.unique(np.concatenate([[0.0], _between(ahead)]))
    cost = [float(np.where(ahead > edge, gain, -gain).clip(0).sum()) for edge in edges]
    best = min(range(len(edges)), key=lambda i: (cost[i], abs(edges[i])))
    return Rule(scratch, furthest, float(edges[best]))


def _between(values: Array) -> Array:
    ordered = np.sort(values)
    ends = [ordered[0] - 0.1, ordered[-1] + 0.1]
    return np.concatenate([ends, (ordered[1:] + ordered[:-1]) / 2])
