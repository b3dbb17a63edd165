"""The benchmark of transfer can be trusted: nothing leaks, and what is perfect or useless shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.transfer import evaluate, protocol
from benchmarks.transfer.cases import cases
from benchmarks.transfer.scratch import scratch_figures
from benchmarks.transfer.stored import DRAWS_OF, Truth, arranged, load, save
from benchmarks.transfer.ways import fit, ways
from catalog.errors import NotFound
from catalog.scoring.stack import forecast
from tests.scoring.truths import SCORES, made_truth

RESULT = Path(evaluate.__file__).parents[1] / "results" / "transfer.json"


def tau(truth: Truth, column: str, split: str = "lodo") -> evaluate.Line:
    return evaluate.lines_of(truth, 100, split, {column: ways(truth)[column]}, 2)[column]


def telling(truth: Truth) -> Truth:
    """`energy` is what the other draws reached."""
    scores = truth.scores.copy()
    for target in range(len(truth.targets)):
        for draw in truth.draws:
            reached = protocol.reached_elsewhere(truth, 1, target, draw)
            scores[1, target, draw, :, list(truth.names).index("energy")] = -np.log(reached)
    return replace(truth, scores=scores)


@pytest.mark.parametrize("split", protocol.SPLITS)
def test_a_score_that_is_the_truth_is_perfect(split: str) -> None:
    for truth in (made_truth(3), load()):
        found = tau(telling(truth), "energy", split).values
        np.testing.assert_allclose(found, [[1, 0, 0]] * len(found), atol=1e-6)


def test_a_random_order_reaches_nothing() -> None:
    taus = [tau(made_truth(seed, targets=6), "random").values[:, 0].mean() for seed in range(12)]
    assert abs(np.mean(taus)) < 0.1


def test_a_target_never_tells_of_itself() -> None:
    truth = made_truth(1, targets=10, sources=8)
    changed = truth.reached.copy()
    changed[:, 4] = changed[:, 4, :, ::-1] * 50
    orders = []
    for each in (truth, replace(truth, reached=changed)):
        known = evaluate.known_to("stack", each, 100)
        trial = next(t for t in protocol.trials(each, known, "lodo") if t.target == 4)
        stack = fit(trial.train, intervals=True)
        orders.append([forecast(stack, replace(cell, reached=None)) for cell in trial.tests])
    for one, other in zip(*orders, strict=True):
        np.testing.assert_array_equal(one.predicted, other.predicted)
        np.testing.assert_array_equal(one.high, other.high)


def test_a_draw_that_was_scored_is_never_judged_by() -> None:
    truth = made_truth(2)
    changed = truth.reached.copy()
    changed[:, :, 1] *= 7
    for each in (truth, replace(truth, reached=changed)):
        found = protocol.reached_elsewhere(each, 1, 0, 1)
        np.testing.assert_allclose(found, protocol.reached_elsewhere(truth, 1, 0, 1))


def test_targets_of_one_detector_are_left_out_together() -> None:
    truth = made_truth(2)
    twins = replace(truth, target_detector=np.array(["same", "same", *truth.targets[2:]]))
    known = evaluate.known_to("stack", twins, 100)
    for trial in protocol.trials(twins, known, "lodo"):
        assert not {c.target for c in trial.train} & {c.target for c in trial.tests}


@pytest.mark.parametrize("split", ["cold", "family"])
def test_models_that_are_ordered_cold_were_never_learnt_from(split: str) -> None:
    truth = made_truth(2, targets=4)
    known = evaluate.known_to("stack", truth, 100)
    for trial in protocol.trials(truth, known, split, 3):
        learnt = {model for cell in trial.train for model in cell.models}
        assert learnt
        assert not learnt & {model for cell in trial.tests for model in cell.models}


def test_popularity_knows_nothing_of_a_new_model_and_most_of_an_old_one() -> None:
    truth = made_truth(4, effect=1.0, fit=0.2)
    assert tau(truth, "popularity").values[:, 0].mean() > 0.7
    assert abs(tau(truth, "popularity", "cold").values[:, 0].mean()) < 0.15  # all tied: by lot


def test_the_stack_beats_every_baseline_where_it_can() -> None:
    truth = made_truth(5)
    asked = {name: way for name, way in ways(truth).items() if name in ("stack", "popularity")}
    lines = evaluate.lines_of(truth, 100, "lodo", asked, 1)
    ours, theirs = (lines[name].values[:, 0] for name in ("stack", "popularity"))
    assert protocol.p_better(ours, theirs) < 0.05
    assert protocol.p_better(theirs, ours) > 0.95


def test_noise_of_a_draw_lowers_the_ceiling_and_the_source_its_own_share() -> None:
    quiet, noisy = made_truth(6, noise=0.01), made_truth(6, noise=1.0)
    assert protocol.ceiling(quiet, 100)[0] > 0.95 > 0.8 > protocol.ceiling(noisy, 100)[0]
    shares = [protocol.main_effect(made_truth(6, effect=e), 100) for e in (0.0, 0.5, 3.0)]
    assert abs(shares[0]) < 0.1 < 0.35 < shares[1] < 0.75 < 0.9 < shares[2]


def test_what_is_missing_is_left_out_and_counted() -> None:
    truth = made_truth(7)
    reached = truth.reached.copy()
    reached[:, :, 1:] = np.nan
    reached[:, 9:] = np.nan
    part = replace(truth, reached=reached)
    assert evaluate.cells(part)["n100"] == {
        "runs": 144, "scored": 576, "of": 12 * 16 * DRAWS_OF[100], "targets": 9,
        "sources": 16, "draws": 1, "scratch": 72,
    }  # fmt: skip
    assert protocol.ceiling(part, 100) == (None, 0)
    # The one draw with outcomes is scored by none of the two others' showers alone.
    assert {d for _, d in evaluate.known_to("stack", part, 100)} == {1, 2}
    assert len(tau(part, "energy").targets) == 9


@pytest.mark.parametrize(("factor", "better"), [(0.2, 10), (5.0, 0)])
def test_the_rule_says_scratch_where_scratch_wins(factor: float, better: int) -> None:
    truth = made_truth(8, targets=10)
    least = truth.reached[1].min(axis=(1, 2))
    truth = replace(truth, scratch=truth.scratch * 0 + factor * least[None, :, None, None])
    found = scratch_figures(truth, evaluate.known_to("stack", truth, 100), 100)
    assert found == {"scratch_right": 1.0, "scratch_targets": 10, "scratch_better": better}


def test_lines_land_in_their_places() -> None:
    run = {"target": "b", "draw": 2, "showers": 100, "source": "s", "reached": 0.5, "cpu_s": 3.0,
           "curve": [[0, 0.9], [10, 0.8]], "steps": 200}  # fmt: skip
    runs = [run, {**run, "source": "", "reached": 0.7, "steps": 400}, {"failed": "NaN"}]
    scores = [{"target": "b", "draw": 1, "showers": 40, "source": "s", "values": {"energy": 2.0},
               "cpu_s": {"sample": 1.0, "energy": 0.5}}]  # fmt: skip
    found = arranged(runs, scores, ["r", "s"], ["a", "b"])
    assert found["reached"][1, 1, 2, 1] == 0.5
    assert np.isfinite(found["reached"]).sum() == 1
    assert found["scratch"][1, 1, 2, 1] == 0.7
    assert found["probe"][1, 1, 2, 1][:2].tolist() == [0.9, 0.8]
    assert found["scores"][0, 1, 1, 1, 0] == 2.0
    assert found["seconds_of"].tolist() == [1.5]


def test_the_file_keeps_four_digits_and_what_is_missing(tmp_path: Path) -> None:
    truth = made_truth(9)
    truth.reached[0, 0] = np.nan
    save(truth, tmp_path / "x.npz")
    again = load(tmp_path / "x.npz")
    np.testing.assert_allclose(again.scores, truth.scores, rtol=3e-4)
    np.testing.assert_array_equal(np.isnan(again.reached), np.isnan(truth.reached))
    assert list(again.names) == list(SCORES)
    with pytest.raises(NotFound, match="no stored truth"):
        load(tmp_path / "y.npz")


def test_the_kept_result_is_that_of_the_stored_truth() -> None:
    kept = json.loads(RESULT.read_text())["figures"]
    truth = load()
    assert kept["cells"] == evaluate.cells(truth)
    assert kept["cells"]["n100"]["targets"] >= 8
    asked = {name: ways(truth)[name] for name in ("stack", "popularity", "metadata", "w1_geomean")}
    for name, line in evaluate.lines_of(truth, 100, "lodo", asked, 1).items():
        assert line.values[:, 0].mean() == pytest.approx(
            kept["lodo"]["scores"][name]["tau_w"], abs=2e-3
        )


def test_nothing_fits_where_nothing_does_and_something_where_it_should() -> None:
    found = cases()
    assert {case.right for case in found} == {"adapt", "nothing-fits"}
    assert [case.name for case in found if case.given != case.right] == []
