"""Seconds, families, floors and savings of a prediction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalog.adapt.log import Adaptation
from catalog.adapt.recipe import default_recipe
from catalog.scoring.decide import Best, decide
from catalog.scoring.predict import (
    Prediction,
    floor_of,
    learn,
    predict_scratch,
    predict_seconds,
    savings,
)
from catalog.scoring.present import saved_words

RUN = Adaptation(
    family="cvae", strategy="full", model="sha256:m", model_ref="m@1", target="elsewhere",
    target_digest="sha256:t", pdg=22, showers=100, steps=300, seed=0, zero_shot=2.0, reached=0.5,
    floor=0.1, seconds=30.0, device="cpu", date="2026-11-23",
)  # fmt: skip


def test_seconds_are_those_of_runs_like_the_one_that_adapt_would_start() -> None:
    steps = default_recipe("cvae", 100).steps
    assert steps == 300
    longer = replace(RUN, showers=1000, steps=1000, seconds=500.0)
    trial, scratch = replace(RUN, steps=20, seconds=1.0), replace(RUN, strategy="scratch")
    log = [RUN, longer, trial, replace(scratch, seconds=9.0), replace(RUN, family="flow")]
    assert predict_seconds(log, "cvae", 100) == 30.0
    assert predict_seconds(log, "cvae", 1000) == pytest.approx(500.0)
    assert predict_seconds([longer, trial], "cvae", 100) is None
    assert predict_seconds(log, "3dgan", 100) is None


def test_seconds_grow_with_the_steps_of_the_recipe() -> None:
    half = replace(RUN, steps=150, seconds=15.0)
    assert predict_seconds([half], "cvae", 100) == pytest.approx(30.0)


def test_a_family_with_fewer_than_three_runs_is_not_known() -> None:
    flow = replace(RUN, family="flow")
    found = learn([RUN, RUN, RUN, flow, flow])
    assert [found.knows(f) for f in ("cvae", "flow", "3dgan", None)] == [True, False, False, False]
    assert not learn([replace(RUN, strategy="scratch")] * 3).knows("cvae")


def test_models_and_scratch_share_the_floor_that_the_runs_were_judged_at() -> None:
    """Though scratch runs alone were judged against a lower one."""
    scratch = replace(RUN, strategy="scratch", zero_shot=None, floor=0.02, reached=0.01)
    runs = [replace(RUN, reached=0.01)] * 3 + [scratch] * 3
    floor = floor_of(runs)
    assert floor == pytest.approx(0.06)
    for found in (learn(runs).predict("cvae", "sha256:m", 0.0), predict_scratch(runs)):
        assert found is not None
        assert min(found.low, found.predicted) == floor
    assert floor_of([]) is None


CURVE = [
    replace(RUN, strategy="scratch", zero_shot=None, showers=n, reached=r)
    for n, r in ((40, 0.4), (100, 0.2), (1000, 0.1))
]


@pytest.mark.parametrize(
    ("interval", "low", "high", "words"),
    [
        ((0.15, 0.12, 0.2), 0.0, 445.7, "160 (0..446)"),
        ((0.15, 0.05, 0.2), 0.0, None, "160 (0..>900)"),
        ((0.15, 0.12, 0.5), None, 445.7, "160 (<-60..446)"),
        ((0.05, 0.04, 0.2), 0.0, None, "at least 900 (0..>900)"),
        ((0.05, 0.04, 0.06), 900.0, None, "at least 900"),
        ((0.5, 0.15, 0.9), None, 160.0, "at most -60 (<-60..160)"),
        ((0.5, 0.05, 0.9), None, None, "at most -60 (<-60..>900)"),
        ((0.5, 0.45, 0.9), None, -60.0, "at most -60"),
        ((0.15, 0.05, 0.9), None, None, "160 (<-60..>900)"),
    ],
)
def test_what_is_saved_has_the_interval_of_the_prediction(
    interval: tuple[float, float, float], low: float | None, high: float | None, words: str
) -> None:
    known = Prediction(*interval, runs=3)
    found = savings(CURVE, "sha256:mine", 22, known, 100)
    assert found is not None
    assert (found.low, found.high) == (
        pytest.approx(low, abs=0.5) if low is not None else None,
        pytest.approx(high, abs=0.5) if high is not None else None,
    )
    assert saved_words(found) == words


def test_no_curve_saves_nothing() -> None:
    assert savings([RUN], "sha256:mine", 22, Prediction(0.2, 0.1, 0.3, 3), 100) is None
    assert saved_words(None) == "-"


def test_what_a_probe_reached_bounds_both_sides_of_the_verdict() -> None:
    """Recorded runs say adapt; a probe can only turn that where scratch is ahead already."""
    known, scratch = Prediction(0.2, 0.1, 0.3, 9), Prediction(0.25, 0.1, 0.4, 9)

    def asked(tried: float | None, fresh: float | None) -> tuple[str, str]:
        return decide(Best("m@1", 0.5, known, tried, fresh), scratch, [])

    assert asked(None, None)[0] == "adapt"
    verdict, why = asked(0.3, 0.28)
    assert verdict == "scratch"
    assert "scratch is ahead already: after as many steps m@1 is at 0.3 and scratch at 0.28" in why
    assert asked(0.3, 0.9)[0] == "adapt"
    assert "which bounds where they end" in asked(0.3, 0.9)[1]
    worse = Prediction(0.4, 0.3, 0.5, 9)
    told = [decide(Best("m@1", 0.5, worse, tried, 0.9), scratch, [])[0] for tried in (0.5, 0.24)]
    assert told == ["scratch", "adapt"]
