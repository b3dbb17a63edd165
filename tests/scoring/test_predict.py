"""Seconds, families, floors and savings of a prediction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalog.adapt.log import Adaptation
from catalog.adapt.recipe import default_recipe
from catalog.scoring.predict import predict_seconds

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
