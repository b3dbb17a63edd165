"""What recorded adaptations tell of a model before anybody has adapted it to this target.

ln reached = level + slope (ln zero-shot - centre) + target + family + parent, a normal model with
fixed spreads of the effects, so that few runs move little (shrinkage) and many decide. A new target
has an unknown effect: it widens the interval, and no ranking depends on it. From `stack.FEWEST`
targets with recorded scores on, the trained stack takes over (`catalog.scoring.order`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from catalog.adapt.adapt import STEPS
from catalog.adapt.log import Adaptation
from catalog.adapt.recipe import default_recipe
from catalog.compat import particle_class
from catalog.scoring.saving import Saving, Savings, saved_showers
from catalog.scoring.scores.arrays import Array
from catalog.scoring.sizes import at_showers

_SIMILAR = 15.0  # runs within this factor in showers are evidence
_ALIKE = 3.0  # and within this one, in showers and in steps, they tell how long one takes
_LEAST_STEPS = 50  # fewer are a trial, no adaptation
_MIN_RUNS = 3  # fewer predict nothing
_Z80 = 1.2816  # half width of an interval that holds 80 % of a normal distribution, in spreads
_SLOPE = 0.3  # of ln reached by ln zero-shot, before any run
# Spreads of ln reached: of the slope, between targets, families and parents, and of one run.
_SPREAD = {"slope": 0.1, "target": 0.35, "family": 0.1, "parent": 0.08}
_NOISE = 0.2


@dataclass(frozen=True)
class Prediction:
    """w1_geomean after adapting, and its 80 % interval; `runs` is how many runs it rests on."""

    predicted: float
    low: float
    high: float
    runs: int

    def at_least(self, floor: float) -> Prediction:
        """The same, nowhere below full simulation against full simulation."""
        low, high = max(self.low, floor), max(self.high, floor)
        return Prediction(max(self.predicted, floor), low, high, self.runs)


@dataclass(frozen=True)
class Learned:
    """The normal model. Without runs only `slope` is known, and nothing is predicted.

    effects : {(kind, name): effect on ln reached}; kind is "family" or "parent"
    columns, covariance : of the posterior, by the same keys; ("level", "") and ("slope", "") too
    floor : no prediction is below it: full simulation against full simulation
    margin : half width of the interval of ln reached as measured on left-out targets, NaN if it was
        not: then it is the model's own
    """

    level: float = np.nan
    slope: float = _SLOPE
    centre: float = 0.0
    floor: float = 0.0
    runs: int = 0
    effects: Mapping[tuple[str, str], float] = field(default_factory=dict)
    columns: Mapping[tuple[str, str], int] = field(default_factory=dict)
    covariance: Array = field(default_factory=lambda: np.zeros((0, 0)))
    margin: float = np.nan
    families: frozenset[str] = frozenset()

    def knows(self, family: str | None) -> bool:
        """Whether models of a family are predicted: what others reached says nothing of it.

        Families differ more than anything else that is recorded: at 100 showers of Par04 a cvae
        reached 0.10, a flow 0.15, a 3dgan 0.97.
        """
        return (family or "") in self.families

    def offset(self, family: str | None, parent: str, ln_zero_shot: float) -> float:
        """ln reached of a model less that of the mean one: what models are ordered by."""
        known = [self.effects.get(key, 0.0) for key in _keys(family, parent)]
        return self.slope * (ln_zero_shot - self.centre) + sum(known)

    def predict(self, family: str | None, parent: str, ln_zero_shot: float) -> Prediction | None:
        """After adapting to a target that no run has seen; None without runs."""
        if self.runs < _MIN_RUNS:
            return None
        row = np.zeros(len(self.covariance))
        row[self.columns["level", ""]] = 1.0
        row[self.columns["slope", ""]] = ln_zero_shot - self.centre
        unknown = _SPREAD["target"] ** 2 + _NOISE**2
        for key in _keys(family, parent):
            if key in self.columns:
                row[self.columns[key]] = 1.0
            else:
                unknown += _SPREAD[key[0]] ** 2
        middle = self.level + self.offset(family, parent, ln_zero_shot)
        return _interval(middle, float(row @ self.covariance @ row) + unknown, self)


def evidence(
    log: Iterable[Adaptation], target_digest: str, pdg: int, showers: int
) -> list[Adaptation]:
    """Runs that may inform a prediction, moved to its number of showers.

    With the same class of particles; never on the target's own showers.
    """
    used = [
        run
        for run in log
        if run.target_digest != target_digest
        and particle_class(run.pdg) == particle_class(pdg)
        and 1 / _SIMILAR <= run.showers / showers <= _SIMILAR
        and run.steps >= _LEAST_STEPS
    ]
    return at_showers(used, showers)


def learn(runs: Iterable[Adaptation]) -> Learned:
    """Fit the normal model to adaptations (scratch runs tell nothing here)."""
    given = list(runs)
    used = [run for run in given if run.strategy != "scratch" and run.zero_shot]
    if not used:
        return Learned()
    x = np.log([run.zero_shot or 1.0 for run in used])
    y = np.log([max(run.reached, 1e-4) for run in used])
    centre = float(x.mean())
    keys = [[("target", f"{r.target} {r.pdg}"), *_keys(r.family, r.model)] for r in used]
    names = [("level", ""), ("slope", ""), *dict.fromkeys(key for row in keys for key in row)]
    columns = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(used), len(names)))
    table[:, 0], table[:, 1] = 1.0, x - centre
    for i, row in enumerate(keys):
        table[i, [columns[key] for key in row]] = 1.0
    # The level is unknown beforehand; a tiny precision keeps the matrix regular.
    precision = [1e-6, *(_SPREAD[kind] ** -2 for kind, _ in names[1:])]
    inverse = table.T @ table / _NOISE**2 + np.diag(precision)
    covariance = np.asarray(np.linalg.inv(inverse), np.float64)
    rest = y - _SLOPE * (x - centre)
    found = covariance @ table.T @ rest / _NOISE**2
    effects = {name: float(v) for name, v in zip(names, found, strict=True)}
    level, slope = effects.pop(("level", "")), effects.pop(("slope", "")) + _SLOPE
    families = Counter(run.family for run in used)
    return Learned(
        level, max(slope, 0.0), centre, floor_of(given) or 0.0, len(used), effects, columns,
        covariance, families=frozenset(f for f, n in families.items() if n >= _MIN_RUNS),
    )  # fmt: skip


def floor_of(runs: Iterable[Adaptation]) -> float | None:
    """Full simulation against full simulation where recorded runs were judged; None without runs.

    The number of showers on either side is theirs, and that of every prediction.
    """
    floors = [run.floor for run in runs]
    return float(np.median(floors)) if floors else None


def predict_scratch(runs: Iterable[Adaptation]) -> Prediction | None:
    """What training from scratch reaches at its best on a new target; None with too few runs."""
    given = list(runs)
    used = [run for run in given if run.strategy == "scratch"]
    if len(used) < _MIN_RUNS:
        return None
    values = np.log(list(_by_target(used).values()))
    # Two targets are no spread: the one assumed between targets counts as two more.
    square = ((values - values.mean()) ** 2).sum() + 2 * _SPREAD["target"] ** 2
    spread = square / (len(values) + 1) * (1 + 1 / len(values))
    floor = floor_of(given) or 0.0
    return _interval(values.mean(), spread, Learned(floor=floor, runs=len(used)))


def saving(
    log: Sequence[Adaptation], digest: str, pdg: int, reached: float, showers: int
) -> Saving | None:
    """Showers saved against the scratch curve of recorded runs; None if there is no curve."""
    kind = particle_class(pdg)
    sizes: dict[int, list[Adaptation]] = {}
    for run in log:
        own = run.target_digest == digest
        if run.strategy == "scratch" and not own and particle_class(run.pdg) == kind:
            sizes.setdefault(run.showers, []).append(run)
    values = {n: list(_by_target(runs).values()) for n, runs in sizes.items()}
    curve = {n: float(np.exp(np.mean(np.log(each)))) for n, each in values.items()}
    return saved_showers(curve, reached, showers) if curve else None


def predict_seconds(log: Iterable[Adaptation], family: str | None, showers: int) -> float | None:
    """Seconds of what `catalog adapt` would do by default; None if no run was like it.

    The median over runs of the family with as many showers and steps as the default recipe takes,
    each within a factor of 3, scaled to its steps: most of the time goes by the step.
    """
    steps = _steps(family or "", showers)
    seconds = [
        run.seconds * steps / run.steps
        for run in log
        if run.family == family
        and run.strategy != "scratch"
        and _near(run.showers, showers)
        and _near(run.steps, steps)
    ]
    return float(np.median(seconds)) if seconds else None


def savings(
    log: Sequence[Adaptation], digest: str, pdg: int, known: Prediction, showers: int
) -> Savings | None:
    """`saving` of a prediction and of both ends of its interval; None if there is no curve."""
    found = [saving(log, digest, pdg, x, showers) for x in (known.predicted, known.high, known.low)]
    return None if None in found else Savings(*found)  # type: ignore[arg-type]


@cache
def _steps(family: str, showers: int) -> int:
    return default_recipe(family, showers).steps or STEPS


def _near(a: int, b: int) -> bool:
    return max(a, b) <= _ALIKE * min(a, b)


def _by_target(runs: Sequence[Adaptation]) -> dict[tuple[str, int], float]:
    """{target: w1_geomean}: the best recipe of each draw, the geometric mean over draws."""
    best: dict[tuple[str, int, str, int, int], float] = {}
    for run in runs:
        key = (run.target, run.pdg, run.target_digest, run.showers, run.seed)
        best[key] = min(best.get(key, np.inf), max(run.reached, 1e-4))
    found: dict[tuple[str, int], list[float]] = {}
    for (target, pdg, *_), value in best.items():
        found.setdefault((target, pdg), []).append(np.log(value))
    return {key: float(np.exp(np.mean(values))) for key, values in found.items()}


def _keys(family: str | None, parent: str) -> list[tuple[str, str]]:
    return [("family", family or ""), ("parent", parent)]


def _interval(middle: float, variance: float, learned: Learned) -> Prediction:
    half = learned.margin if np.isfinite(learned.margin) else _Z80 * float(np.sqrt(variance))
    ends = np.maximum(np.exp([middle, middle - half, middle + half]), learned.floor)
    return Prediction(float(ends[0]), float(ends[1]), float(ends[2]), learned.runs)
