"""Which model to start from: fingerprints, then probes, then a forecast, then a verdict.

1. The whole index is ranked by fingerprints; nothing is pulled (`shortlist`).
2. The best few are run at the target's own conditions (`candidates`, `probe`).
3. What was recorded so far orders them, a rank average while that is little (`order`, `predict`).
4. The best of them is weighed against training from scratch, by a rule (`decide`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from catalog.adapt.log import Adaptation
from catalog.compat import check_target
from catalog.errors import NothingFits
from catalog.index import Index
from catalog.physics.distances import w1_geomean
from catalog.physics.observables import Observables, observe
from catalog.scoring.asked import asked_of
from catalog.scoring.candidates import Candidate, Ran, Say, rank_all, run_all, try_all
from catalog.scoring.choose import choose
from catalog.scoring.decide import Best, Verdict, decide, nothing_possible
from catalog.scoring.doubts import doubt, notes
from catalog.scoring.order import judge_of
from catalog.scoring.predict import Prediction, evidence, floor_of, predict_scratch
from catalog.scoring.shortlist import PROBED, Listed
from catalog.scoring.targets import elsewhere
from catalog.settings import Settings
from catalog.showers import ShowerSet

Trial = Callable[[tuple[Candidate, ...]], tuple[tuple[Candidate, ...], float | None]]


@dataclass(frozen=True)
class Recommendation:
    """The answer.

    floor : of predictions: full simulation against full simulation as recorded runs were judged;
        without runs that of the halves
    halves : distance between two halves of the target's own showers
    excluded : (ref, why) of models that cannot be adapted to the target
    others : could be adapted too, and were not run
    tried : what scratch reached, where a few steps of training were asked for
    calibrated : whether the intervals of models were measured on left-out targets
    doubts : what looks wrong with the showers, though they can be compared
    """

    target: ShowerSet
    verdict: Verdict
    reason: str
    ranking: tuple[Candidate, ...] = ()
    scratch: Prediction | None = None
    floor: float | None = None
    halves: float | None = None
    excluded: tuple[tuple[str, str], ...] = ()
    others: tuple[Listed, ...] = ()
    tried: float | None = None
    calibrated: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def showers(self) -> int:
        """How many showers adapting would use."""
        return len(self.target)


def recommend(
    target: ShowerSet,
    index: Index,
    settings: Settings,
    log: Sequence[Adaptation],
    say: Say,
    seed: int = 0,
    models: int = PROBED,
    gradients: bool = False,
) -> Recommendation:
    """Rank the generators of the index for a target.

    Parameters
    ----------
    target : the showers that would be adapted on; their number is the n of the prediction
    models, gradients : how many are run; whether the best three, and scratch, train a few steps

    Raises
    ------
    UsageError, MissingExtra
    """
    if why := _unfit(target):
        return Recommendation(target, "nothing-fits", why)
    seen = observe(target)
    choice = choose(asked_of(target, seen), index, settings.store, models)
    if choice.words:
        say(choice.words)
    listed = choice.listed
    found, refused = run_all(listed.chosen, target, seen, settings, seed, say)
    made = Recommendation(
        target, "nothing-fits", "", halves=_halves(seen), doubts=notes(target),
        excluded=(*listed.excluded, *refused), others=listed.others,
    )  # fmt: skip
    if not found:
        return replace(made, reason=nothing_possible(target, choice.covered, made.excluded))
    trial = partial(try_all, target=target, seed=seed, say=say) if gradients else None
    return _weighed(made, found, elsewhere(log, target.detector), trial)


def _weighed(
    made: Recommendation, found: Sequence[Ran], log: Sequence[Adaptation], trial: Trial | None
) -> Recommendation:
    """The models that ran in order, and the best of them beside scratch."""
    target = made.target
    runs = evidence(log, target.digest, target.pdg, len(target))
    floor = floor_of(runs) or made.halves or 0.0
    ranking, calibrated = rank_all(found, judge_of(runs), log, target, floor)
    tried, scratch = None, predict_scratch(runs)
    if trial:
        ranking, tried = trial(ranking)
    verdict, reason = decide(_best(ranking, tried), scratch, runs)
    return replace(
        made, verdict=verdict, reason=reason, ranking=ranking, scratch=scratch, floor=floor,
        tried=tried, calibrated=calibrated,
    )  # fmt: skip


def _halves(seen: Observables) -> float:
    half = len(seen) // 2
    return w1_geomean(seen.values[:half], seen.values[half:])


def _unfit(target: ShowerSet) -> str | None:
    """Why no model can be compared with these showers: an answer like any other, also as JSON."""
    try:
        check_target(target)
    except NothingFits as exc:
        return f"{exc.message}; {exc.hint}"
    return doubt(target)


def _best(ranking: Sequence[Candidate], scratch: float | None) -> Best:
    nearest = min(c.zero_shot for c in ranking)
    return Best(ranking[0].ref, nearest, ranking[0].prediction, ranking[0].tried, scratch)
