"""Runs with other numbers of showers inform a prediction without holes or jumps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sample_models
from catalog.adapt.log import Adaptation, read_records
from catalog.scoring.predict import evidence, predict_scratch
from catalog.scoring.sizes import at_showers

RUNS = read_records(Path(sample_models.__file__).parent / "evidence.jsonl")


def made(power: float) -> list[Adaptation]:
    """Scratch runs of three targets that follow a power of n exactly."""
    first = next(run for run in RUNS if run.strategy == "scratch")
    return [
        replace(first, target=f"t{k}", showers=n, reached=(0.1 + 0.1 * k) * n**power, seed=n)
        for k in range(3)
        for n in (10, 100, 1000, 10_000)
    ]


def test_many_runs_of_several_sizes_tell_the_power() -> None:
    moved = at_showers(made(-0.4), 300)
    for k in range(3):
        wanted = (0.1 + 0.1 * k) * 300**-0.4
        found = [run.reached for run in moved if run.target == f"t{k}"]
        assert found == pytest.approx([wanted] * 4, rel=0.25)


def test_runs_of_the_size_asked_for_stay_as_they_are() -> None:
    same = [run for run in RUNS if run.showers == 100]
    moved = at_showers(RUNS, 100)
    assert {run.reached for run in same} <= {run.reached for run in moved}


def test_more_showers_never_predict_worse_and_no_number_has_no_answer() -> None:
    sizes = [30, 60, 100, 300, 301, 333, 334, 600, 1000, 3000]
    told = [predict_scratch(evidence(RUNS, "", 11, n)) for n in sizes]
    values = [found.predicted for found in told if found]
    assert len(values) == len(sizes)
    # A floor bounds the last ones.
    assert all(np.diff(values) <= 1e-9)


def test_nothing_is_learned_from_the_showers_of_a_shipped_file() -> None:
    from catalog.showers.reader import read_showers

    file = Path(sample_models.__file__).parent / "data" / "par04-siw-electron.h5"
    digest = read_showers(file, limit=1).digest
    assert not [
        run for run in evidence(RUNS, digest, 11, 300) if run.target == "par04-siw-electron"
    ]
