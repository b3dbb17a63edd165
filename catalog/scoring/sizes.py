"""Recorded runs with other numbers of showers, moved to the number that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from catalog.adapt.log import Adaptation

_SLOPE = -0.2  # of ln reached by ln n, before any run; that of a mean is -0.5
_BELIEF = 5.0  # how much variation of ln n that belief is worth


def at_showers(runs: Iterable[Adaptation], showers: int) -> list[Adaptation]:
    """The runs, with `reached` as if each had been given `showers`: it follows a power of n.

    Each keeps its own number: runs of two sizes are two experiments, not two tries at one. The
    power is fitted inside targets and families, for adapting and for scratch apart, and is held
    back towards `_SLOPE` while runs of several sizes are few.
    """
    given = list(runs)
    moved = []
    for scratch in (False, True):
        alike = [run for run in given if (run.strategy == "scratch") == scratch]
        power = _power(alike)
        moved += [
            replace(run, reached=run.reached * (showers / run.showers) ** power) for run in alike
        ]
    return moved


def _power(runs: Sequence[Adaptation]) -> float:
    groups: dict[tuple[object, ...], list[tuple[float, float]]] = {}
    for run in runs:
        point = float(np.log(run.showers)), float(np.log(max(run.reached, 1e-4)))
        groups.setdefault((run.target, run.pdg, run.family), []).append(point)
    square, product = _BELIEF, _BELIEF * _SLOPE
    for points in groups.values():
        x, y = np.array(points).T
        square += float(((x - x.mean()) ** 2).sum())
        product += float(((x - x.mean()) * y).sum())
    return min(product / square, 0.0)
