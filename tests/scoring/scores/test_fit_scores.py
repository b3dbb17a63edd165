"""A critic's and a likelihood's opinion compare between models of any scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import UsageError
from catalog.scoring.scores.critic_fit import critic_fit
from catalog.scoring.scores.likelihood_fit import at_one_energy, likelihood_fit

MONOTONE = (np.tanh, lambda x: 1e3 * x - 50, lambda x: 1 / (1 + np.exp(-x)), np.cbrt)


def test_critic_fit_by_hand() -> None:
    """Of six pairs, the target wins four, ties one and loses one."""
    assert critic_fit([2.0, 1.0], [0.0, 1.0, 1.5]) == pytest.approx(math.log(5.0 / 2.0))


def test_critic_fit_of_equal_opinions_is_zero_and_never_infinite() -> None:
    x = np.random.default_rng(1).normal(size=100)
    assert critic_fit(x, x) == pytest.approx(0, abs=1e-12)
    assert critic_fit(x + 100, x) == pytest.approx(math.log(2 * 100 * 100 + 1))
    assert critic_fit(x - 100, x) == -critic_fit(x + 100, x)
    assert critic_fit([1.0], [1.0]) == 0


@pytest.mark.parametrize("curve", MONOTONE)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_no_last_layer_of_a_critic_decides(curve, seed: int) -> None:
    target, own = np.random.default_rng(seed).normal([[0.5], [0.0]], 1, (2, 30))
    assert critic_fit(curve(target), curve(own)) == pytest.approx(critic_fit(target, own))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_no_scale_or_zero_of_a_likelihood_decides(seed: int, scale: float, zero: float) -> None:
    target, own = np.random.default_rng(seed).normal([[0.5], [0.0]], 1, (2, 30))
    wanted = likelihood_fit(target, own)
    assert likelihood_fit(scale * target + zero, scale * own + zero) == pytest.approx(
        wanted, abs=1e-5
    )


def test_likelihood_fit_is_the_shift_in_spreads() -> None:
    own = np.array([1.0, 3.0, 1.0, 3.0])
    assert math.sinh(likelihood_fit([-1.0, 1.0], own)) == pytest.approx(-2, rel=1e-6)
    far = likelihood_fit(own - 1e6, own)
    assert far == pytest.approx(-math.log(2e6), rel=1e-3)
    assert math.isfinite(likelihood_fit([1.0], [2.0, 2.0]))


def test_the_energy_is_taken_out_before_spreads_are() -> None:
    """A model that fits at every energy, told that both sets' energies differ, still fits."""
    rng = np.random.default_rng(2)
    gev, other = 10 ** rng.uniform(0, 2, 400), 10 ** rng.uniform(1, 2, 300)

    def opinion(e: np.ndarray) -> np.ndarray:
        return -50 * np.log(e) + 3 * np.log(e) ** 2 + rng.normal(size=len(e))

    own, target = opinion(gev), opinion(other)
    assert likelihood_fit(target, own) < -0.5
    assert likelihood_fit(*at_one_energy(target, own, other, gev)) == pytest.approx(0, abs=0.2)
    worse = likelihood_fit(*at_one_energy(target - 3, own, other, gev))
    assert math.sinh(worse) == pytest.approx(-3, abs=0.4)


def test_one_energy_leaves_a_constant_out() -> None:
    own, target = np.array([1.0, 3.0]), np.array([5.0])
    flat = at_one_energy(target, own, np.array([7.0]), np.array([7.0, 7.0]))
    np.testing.assert_allclose(flat[0], [3.0])
    np.testing.assert_allclose(flat[1], [-1.0, 1.0])
    columns = at_one_energy(target[:, None], own[:, None], np.array([7.0]), np.array([7.0, 7.0]))
    assert [part.shape for part in columns] == [(1,), (2,)]  # as scorer graphs give them


def test_what_cannot_be_scored_is_refused_with_a_reason() -> None:
    with pytest.raises(UsageError, match="target showers: column 0"):
        critic_fit([np.nan], [1.0])
    with pytest.raises(UsageError, match="own showers: 1 row"):
        likelihood_fit([1.0], [1.0])
    with pytest.raises(UsageError, match="0 row"):
        critic_fit([], [1.0])
    for gev in (np.array([1.0]), np.array([1.0, 0.0])):
        with pytest.raises(UsageError, match="energies for 2 scores"):
            at_one_energy(np.ones(1), np.ones(2), np.ones(1), gev)
