"""The published algorithms that ours are timed against give what ours give."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import scores


def test_both_sides_of_the_race_run_the_same_distance() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 3000)
    x = rng.normal(size=(3000, 20)) + rng.normal(size=(4, 20))[labels]
    x -= x.mean(0)
    wanted = scores.published(x, labels)
    for precision, digits in ((np.float64, 1e-9), (np.float32, 1e-5)):
        found = scores.ours(x.astype(precision), labels, precision)
        assert found[1:] == pytest.approx(wanted[1:], rel=digits)
        # the published evidence counts n rows where the mean has taken one
        assert found[0] == pytest.approx(wanted[0], abs=5e-4)


def test_every_figure_is_one_function_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "_ROWS", 200)
    monkeypatch.setattr(scores, "_FEATURES", 10)
    figures = scores.gram_speedup(1)
    assert figures["gram_speedup_range"][0] == figures["gram_speedup"] > 0
    assert max(figures["gram_difference"].values()) < 0.05
