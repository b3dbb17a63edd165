"""What recorded adaptations change: by real fine-tunes of the transfer benchmark, and by rule."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import weightedtau

from catalog.adapt.log import Adaptation
from catalog.scoring.order import RANKED, Entrant, Judge, cells_of, judge_of, place
from catalog.scoring.predict import evidence, learn, predict_scratch, saving
from catalog.scoring.stack import FEWEST, train_stack

stored = pytest.importorskip("benchmarks.transfer.stored")
ways = pytest.importorskip("benchmarks.transfer.ways")

RUN = Adaptation(
    family="toy", strategy="full", model="sha256:m", model_ref="m@1", target="elsewhere",
    target_digest="sha256:t", pdg=22, showers=150, steps=800, seed=0, zero_shot=2.0, reached=0.5,
    floor=0.1, seconds=30.0, device="cpu", date="2026-11-23",
)  # fmt: skip
SCRATCH = replace(RUN, strategy="scratch", model="", zero_shot=None)
SHOWERS = 100


@cache
def truth() -> dict[str, list[Adaptation]]:
    """Runs on 100 showers by target; scores are of another draw of showers than what was reached.

    Only targets that eight sources or more were adapted to.
    """
    known, size = stored.load(), stored.SIZES.index(SHOWERS)
    names = ("w1_geomean", *ways.FEW)
    reached, scores = known.reached[size][:, 0], ways.table(known, names)[size][:, 1]
    done = np.isfinite(reached) & np.isfinite(scores).all(-1)
    found: dict[str, list[Adaptation]] = {}
    for t in np.flatnonzero(done.sum(1) >= 8):
        for m in np.flatnonzero(done[t]):
            told = dict(zip(names, map(float, scores[t, m]), strict=True))
            run = recorded(told, float(reached[t, m]), str(known.targets[t]))
            run = replace(run, family=str(known.family[m]), model=str(known.sources[m]))
            found.setdefault(run.target, []).append(run)
    return found


def recorded(told: dict[str, float], reached: float, target: str) -> Adaptation:
    scores = {name: told[name] for name in told if name != "median_fit"}
    return replace(
        RUN,
        target=target,
        target_digest=target,
        zero_shot=float(np.exp(-told["w1_geomean"])),
        reached=reached,
        scores={**scores, "fit": told["median_fit"]},
    )


def ranking_error(log: list[Adaptation], target: str) -> float:
    """Share of wrongly ordered pairs, what is best counting most: 0 is perfect, 0.5 is chance."""
    runs = truth()[target]
    entrants = [Entrant(r.model, r.family, r.zero_shot or 1.0, r.scores) for r in runs]
    placed = place(Judge(learn(log)), entrants, SHOWERS)
    agreement = weightedtau(-np.array(placed.place), -np.log([r.reached for r in runs])).statistic
    return (1 - float(agreement)) / 2


needs_truth = pytest.mark.skipif(not stored.FILE.is_file(), reason="no stored runs")


@needs_truth
def test_ten_models_adapted_to_each_of_two_other_targets_lower_the_ranking_error() -> None:
    rng, change = np.random.default_rng(0), []
    for target in truth():
        others = [name for name in truth() if name != target]
        for _ in range(10):
            log: list[Adaptation] = []
            for name in rng.choice(others, 2, replace=False):
                runs = truth()[str(name)]
                log += [runs[i] for i in rng.permutation(len(runs))[:10]]
            change.append(ranking_error(log, target) - ranking_error([], target))
    assert np.mean(change) < -0.005


@needs_truth
def test_all_runs_on_other_targets_lower_it_further() -> None:
    change = []
    for target in truth():
        log = [run for name, runs in truth().items() if name != target for run in runs]
        change.append(ranking_error(log, target) - ranking_error([], target))
    assert np.mean(change) < -0.01


@needs_truth
def test_intervals_hold_what_was_reached_on_targets_that_nobody_had_adapted_to() -> None:
    inside = []
    for target, runs in truth().items():
        others = [run for name, each in truth().items() if name != target for run in each]
        entrants = [Entrant(r.model, r.family, r.zero_shot or 1.0, r.scores) for r in runs]
        placed = place(judge_of(others), entrants, SHOWERS)
        assert placed.calibrated
        for prediction, run in zip(placed.predictions, runs, strict=True):
            assert prediction is not None
            inside.append(prediction.low <= run.reached <= prediction.high)
    assert 0.65 < np.mean(inside) < 0.92


def test_a_parent_that_ended_lower_elsewhere_is_put_first_and_a_longer_record_counts_more() -> None:
    good, bad = (replace(RUN, model=m, reached=r) for m, r in (("good", 0.2), ("bad", 0.8)))
    entrants = [Entrant(m, "toy", 1.0, dict.fromkeys(RANKED, 0.0)) for m in ("bad", "good")]
    once, often = (
        learn([replace(run, target=f"t{i}") for i in range(n) for run in (good, bad)])
        for n in (1, 8)
    )
    assert place(Judge(learn([])), entrants, 150).place == (1, 2)
    assert place(Judge(once), entrants, 150).place == (2, 1)
    gap = [x.effects["parent", "bad"] - x.effects["parent", "good"] for x in (once, often)]
    assert 0 < gap[0] < gap[1] < np.log(4)


def test_a_family_that_ended_lower_lifts_models_that_nobody_has_adapted() -> None:
    runs = [
        replace(RUN, model=f"{family}{i}", family=family, reached=reached, target=f"t{i}")
        for i in range(4)
        for family, reached in (("a", 0.2), ("b", 0.6))
    ]
    entrants = [Entrant(f"new {f}", f, 1.0, dict.fromkeys(RANKED, 0.0)) for f in ("b", "a")]
    assert place(Judge(learn(runs)), entrants, 150).place == (2, 1)


def test_how_hard_a_target_was_says_nothing_of_its_models() -> None:
    """Only differences within a target tell of models; this one was adapted where all ends high."""
    hard = [replace(RUN, target="hard", model=m, reached=2.0) for m in ("m", "x", "y")]
    easy = [replace(RUN, target="easy", model=m, reached=0.1) for m in ("p", "q", "r")]
    effects = learn(hard + easy).effects
    assert abs(effects["parent", "m"] - effects["parent", "p"]) < 0.1 * np.log(20)


def test_nothing_recorded_predicts_nothing_and_two_runs_too_little() -> None:
    assert learn([]).predict("toy", "sha256:m", 0.0) is None
    assert learn([RUN, RUN]).predict("toy", "sha256:m", 0.0) is None
    assert learn([RUN] * 3).predict("toy", "sha256:m", np.log(2.0)) is not None
    assert predict_scratch([SCRATCH] * 2) is None


def test_a_prediction_is_near_its_runs_wider_for_a_stranger_and_never_below_the_floor() -> None:
    found = learn([replace(RUN, target=f"t{i}") for i in range(6)])
    known, stranger = (
        found.predict(family, model, np.log(2.0))
        for family, model in (("toy", "sha256:m"), ("other", "sha256:x"))
    )
    assert known is not None
    assert stranger is not None
    assert known.predicted == pytest.approx(0.5, rel=0.05)
    assert known.low < 0.5 < known.high
    assert stranger.high / stranger.low > known.high / known.low
    least = learn([replace(RUN, reached=0.01)] * 3).predict("toy", "sha256:m", np.log(2.0))
    assert least is not None
    assert (least.low, least.predicted) == (0.1, 0.1)


def test_runs_on_the_targets_own_showers_are_no_evidence() -> None:
    assert evidence([RUN], "sha256:t", 22, 150) == []
    assert evidence([RUN], "sha256:other", 22, 150) == [RUN]


def test_runs_with_other_showers_particles_or_hardly_a_step_are_no_evidence() -> None:
    assert evidence([RUN], "x", 22, 20 * RUN.showers) == []
    assert evidence([RUN], "x", 22, RUN.showers // 20) == []
    assert evidence([RUN], "x", -11, RUN.showers) == [RUN]
    assert evidence([RUN], "x", -211, 60) == []
    assert evidence([replace(RUN, steps=20)], "x", 22, 150) == []


def test_scratch_is_what_the_best_recipe_reached() -> None:
    tuned = [replace(SCRATCH, recipe=name, reached=r) for name, r in (("a", 0.9), ("b", 0.3))]
    found = predict_scratch([*tuned, replace(SCRATCH, recipe="c", reached=0.7)])
    assert found is not None
    assert found.predicted == pytest.approx(0.3)


def test_saved_showers_are_read_off_the_scratch_curve_of_others() -> None:
    curve = [replace(SCRATCH, showers=n, reached=r) for n, r in ((100, 0.4), (1000, 0.1))]
    found = saving(curve, "sha256:mine", 22, 0.2, 100)
    assert found is not None
    assert found.showers == pytest.approx(100 * np.sqrt(10) - 100)
    assert saving(curve, "sha256:t", 22, 0.2, 100) is None
    assert saving(curve, "sha256:mine", -211, 0.2, 100) is None


def test_targets_with_fewer_than_three_models_teach_the_stack_no_order() -> None:
    scored = [replace(RUN, model=m, scores=dict.fromkeys(RANKED, 1.0)) for m in "abc"]
    assert cells_of(scored[:2]) == []
    (cell,) = cells_of([*scored, RUN])
    assert cell.models == ("a", "b", "c")


def made_log(targets: int, models: int, told: str = "fit") -> list[Adaptation]:
    """Runs whose `told` score tells what each reached, while all other scores say nothing."""
    rng = np.random.default_rng(0)
    found = []
    for t in range(targets):
        for m in range(models):
            scores = dict(zip(RANKED, map(float, rng.normal(size=len(RANKED))), strict=True))
            reached = float(np.exp(-1 - 0.5 * scores[told] + 0.05 * rng.normal()))
            run = replace(RUN, model=f"m{m}", target=f"t{t}", target_digest=f"t{t}")
            found.append(replace(run, scores={"w1_geomean": -0.7, **scores}, reached=reached))
    return found


@pytest.mark.parametrize(("targets", "models"), [(FEWEST, 8), (12, 4)])
def test_whatever_was_learnt_from_an_interval_has_two_ends(targets: int, models: int) -> None:
    """Also from no more targets than the stack needs, and of a model that nobody has adapted."""
    judge = judge_of(made_log(targets, models))
    assert (judge.stack is not None) == (models >= 6)
    entrants = [Entrant(m, "toy", 1.0, dict.fromkeys(RANKED, 0.0)) for m in ("m0", "m1", "new")]
    placed = place(judge, entrants, 150)
    assert placed.calibrated
    for found in placed.predictions:
        assert found is not None
        assert 0 < found.low < found.predicted < found.high < np.inf


def test_families_that_are_not_predicted_widen_no_interval() -> None:
    log = made_log(FEWEST, 6)
    odd = [replace(r, family=r.target, model=f"odd {r.model}", reached=9 * r.reached) for r in log]
    tried = [run for run in odd if run.model in ("odd m0", "odd m1")]
    margin = judge_of([*log, *tried]).learned.margin
    assert margin < 1.1 * judge_of(log).learned.margin


def test_all_particles_on_one_calorimeter_are_left_out_together() -> None:
    """A recommendation leaves its calorimeter out whole, and so does what measures the interval."""
    log = made_log(FEWEST, 8)
    electrons = [replace(run, pdg=11, target_digest=f"{run.target} 11") for run in log]
    cells = cells_of([*log, *electrons])
    assert len(cells) == 2 * FEWEST
    assert len({cell.target for cell in cells}) == FEWEST


def test_a_record_that_reached_nothing_at_all_is_no_infinity() -> None:
    log = made_log(FEWEST, 8)
    judge = judge_of([replace(log[0], reached=0.0), *log[1:]])
    assert np.isfinite(judge.learned.margin)


def test_a_model_that_is_spreads_away_comes_last_also_with_a_trained_stack() -> None:
    """However good its card looks: means and spreads do not put right what does not fluctuate."""
    log = made_log(10, 8)
    stack = train_stack(cells_of(log), RANKED)
    scores = [dict.fromkeys(RANKED, value) for value in (2.0, 1.0, 0.0)]
    entrants = [
        Entrant(f"new{i}", "toy", 20.0 if i == 0 else 1.0, each) for i, each in enumerate(scores)
    ]
    assert place(Judge(learn(log), stack), entrants, 150).place == (3, 1, 2)
    near = [replace(each, zero_shot=1.0) for each in entrants]
    assert place(Judge(learn(log), stack), near, 150).place == (1, 2, 3)
