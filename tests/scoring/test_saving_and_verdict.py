"""Saved showers, alignment, and the rule that says scratch or nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from catalog.errors import UsageError
from catalog.physics.distances import w1_geomean
from catalog.scoring.aligned import aligned
from catalog.scoring.saving import Saving, saved_showers
from catalog.scoring.verdict import Past, calibrate

CURVE = {40: 0.4, 100: 0.2, 1000: 0.1}


def test_what_scratch_reached_with_n_showers_saves_none_of_them() -> None:
    for n, w1 in CURVE.items():
        assert saved_showers(CURVE, w1, n).showers == pytest.approx(0, abs=1e-9)


def test_between_two_sizes_the_curve_is_straight_in_logarithms() -> None:
    found = saved_showers(CURVE, math.sqrt(0.2 * 0.1), 40)
    assert found.showers == pytest.approx(math.sqrt(100 * 1000) - 40)
    assert found.censored == ""


def test_beyond_its_ends_the_saving_is_a_bound() -> None:
    assert saved_showers(CURVE, 0.05, 40) == Saving(960, "at least")
    worse = saved_showers(CURVE, 0.9, 100)
    assert (worse.showers, worse.censored) == (-60, "at most")


def test_a_curve_that_rises_is_made_monotone() -> None:
    risen = {40: 0.4, 100: 0.2, 300: 0.25, 1000: 0.1}
    assert saved_showers(risen, 0.2, 0).showers == pytest.approx(100)
    assert saved_showers(risen, 0.19, 0).showers > 300


@pytest.mark.parametrize(("curve", "reached"), [({}, 0.1), ({40: 0.0}, 0.1), (CURVE, 0.0)])
def test_what_tells_no_saving_is_refused(curve: dict[int, float], reached: float) -> None:
    with pytest.raises(UsageError):
        saved_showers(curve, reached, 40)


def test_alignment_takes_out_lines_and_spreads_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    gev, own_gev = np.exp(rng.uniform(0, 4, 400)), np.exp(rng.uniform(0, 4, 400))
    noise = rng.normal(size=(2, 400, 3))
    target = 2 + 0.5 * np.log(gev)[:, None] + noise[0]
    model = -7 + 3.0 * np.log(own_gev)[:, None] + 9 * noise[1]
    moved = aligned(model, own_gev, target, gev)
    assert w1_geomean(moved, target) < 0.12 < 3 < w1_geomean(model, target)
    bent = aligned(model**2, own_gev, target, gev)
    assert w1_geomean(bent, target) > 2 * w1_geomean(moved, target)
    np.testing.assert_allclose(aligned(target, gev, target, gev), target)


def test_a_constant_column_stays_finite() -> None:
    gev = np.linspace(1, 9, 50)
    moved = aligned(np.ones((50, 1)), gev, np.linspace(0, 1, 50)[:, None], gev)
    assert np.isfinite(moved).all()


def past(forecast: float, adapted: float, scratch: float) -> Past:
    return Past(math.log(forecast), math.log(0.5), adapted, scratch)


def test_the_rule_learns_how_far_its_forecasts_are_off() -> None:
    """Forecasts twice too low: adapting is right only where they are below half of scratch."""
    known = [past(0.5 * x, x, 0.2) for x in (0.05, 0.1, 0.15, 0.25, 0.3, 0.4)]
    rule = calibrate(known)
    assert rule.answer(math.log(0.05), 0.0, 3) == "adapt"
    assert rule.answer(math.log(0.13), 0.0, 3) == "scratch"
    assert calibrate([past(x, x, 0.2) for x in (0.05, 0.1, 0.4)]).offset == 0.0


def test_nothing_fits_where_nothing_is_possible_or_all_is_further_than_ever() -> None:
    rule = calibrate([past(0.1, 0.1, 0.2)] * 3)
    assert rule.answer(math.log(0.1), math.log(0.5), 0) == "nothing-fits"
    assert rule.answer(math.log(0.1), math.log(0.6), 1) == "adapt"
    assert rule.answer(math.log(0.1), math.log(5.0), 1) == "nothing-fits"


def test_without_a_past_the_rule_cannot_prefer_scratch() -> None:
    assert calibrate([]).answer(math.log(5), math.log(5), 1) == "adapt"
