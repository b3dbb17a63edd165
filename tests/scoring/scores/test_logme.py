"""LogME beside the dense marginal likelihood, and what must not change it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import null_space
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, ortho_group

from catalog.errors import UsageError
from catalog.scoring.scores.gram import gram, spectrum
from catalog.scoring.scores.logme import logme


def score(x: np.ndarray, y: np.ndarray, precision: type = np.float64) -> float:
    return logme(spectrum(gram(x, y, precision)))


def problem(seed: int, n: int, d: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(0.3, 2, d) + rng.normal(size=d)
    return x, x @ rng.normal(size=d) / math.sqrt(d) + noise * rng.normal(size=n)


def dense(x: np.ndarray, y: np.ndarray) -> float:
    """max over alpha and beta of ln N(y | 0, 1 / beta + F F^T / alpha) / N, without the mean."""
    basis = null_space(np.ones((1, len(x))))
    f, z = basis.T @ x, basis.T @ y

    def minus(parameters: np.ndarray) -> float:
        ln_alpha, ln_beta = np.clip(parameters, -30, 30)
        covariance = np.eye(len(z)) / math.exp(ln_beta) + f @ f.T / math.exp(ln_alpha)
        return -multivariate_normal(np.zeros(len(z)), covariance, allow_singular=False).logpdf(z)

    starts = [(a, b) for a in (-3, 0, 3) for b in (-1, 1, 4)]
    found = [minimize(minus, start, method="Nelder-Mead", tol=1e-9) for start in starts]
    return -min(one.fun for one in found) / len(z)


@pytest.mark.parametrize(("n", "d"), [(20, 40), (30, 64), (40, 40), (41, 40), (60, 8), (12, 3)])
def test_it_is_the_dense_marginal_likelihood(n: int, d: int) -> None:
    x, y = problem(n + d, n, d)
    assert score(x, y) == pytest.approx(dense(x, y), abs=2e-6)


def test_few_rows_have_an_answer_where_the_fixed_point_has_none() -> None:
    """Optimum at t -> 0: noise-free targets of n <= d rows, (ln N - ln sum x^2/l - ...) / 2."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(15, 50))
    x[:, 0] *= 100
    y = x[:, 0] + 0.0
    c, e = x - x.mean(0), y - y.mean()
    left, values, _ = np.linalg.svd(c, full_matrices=False)
    left, squares = left[:, :14], values[:14] ** 2
    projected = (left.T @ e) ** 2
    limit = 0.5 * (
        math.log(14) - math.log(np.sum(projected / squares)) - np.log(squares).mean() - 1
        - math.log(2 * math.pi)
    )  # fmt: skip
    assert score(x, y) == pytest.approx(limit, abs=1e-3)
    assert score(x, y) >= limit - 1e-9


def test_features_that_say_nothing_leave_the_evidence_of_noise_alone() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(0, 3, 50)
    alone = 0.5 * (math.log(49 / np.sum((y - y.mean()) ** 2)) - 1 - math.log(2 * math.pi))
    assert score(np.ones((50, 4)), y) == pytest.approx(alone, rel=1e-12)
    orthogonal = (y - y.mean())[:, None] * 0 + null_space(np.stack([np.ones(50), y]))[:, :3]
    assert score(orthogonal, y) == pytest.approx(alone, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from([(15, 30), (60, 10)]), st.floats(-9, 9))
def test_units_of_features_do_not_matter_and_those_of_targets_shift_it(seed, shape, power) -> None:
    x, y = problem(seed, *shape)
    wanted, scale = score(x, y), 10.0**power
    assert score(x * scale, y) == pytest.approx(wanted, abs=1e-6)
    assert score(x, y * scale) == pytest.approx(wanted - math.log(scale), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from([(15, 30), (60, 10)]))
def test_order_rotation_and_offset_do_not_matter(seed: int, shape: tuple[int, int]) -> None:
    x, y = problem(seed, *shape)
    wanted = score(x, y)
    turn = ortho_group.rvs(shape[1], random_state=seed)
    order = np.random.default_rng(seed).permutation(shape[0])
    assert score(x[order], y[order]) == pytest.approx(wanted, abs=1e-8)
    assert score(x @ turn, y) == pytest.approx(wanted, abs=1e-8)
    assert score(x + 50, y - 1e3) == pytest.approx(wanted, abs=1e-6)


def test_names_of_classes_do_not_matter() -> None:
    x, y = problem(3, 90, 6)
    labels = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    names = np.array(["zz", "aa", "mm"])[labels]
    assert score(x, names) == pytest.approx(score(x, labels), rel=1e-12)


def test_it_is_the_mean_over_targets_and_leaves_out_constant_ones() -> None:
    x, y = problem(4, 40, 5)
    other = problem(5, 40, 5)[1]
    both = score(x, np.stack([y, other, np.full(40, 7.0)], axis=1))
    assert both == pytest.approx((score(x, y) + score(x, other)) / 2, rel=1e-12)
    with pytest.raises(UsageError, match="constant"):
        score(x, np.full(40, 7.1))


def test_features_that_know_more_score_higher() -> None:
    values = [score(*problem(6, 80, 10, noise)) for noise in (0.1, 0.5, 2.0)]
    assert values[0] > values[1] > values[2]


def test_single_precision_agrees_for_more_rows_than_features() -> None:
    x, y = problem(7, 2000, 60)
    assert score(x, y, np.float32) == pytest.approx(score(x, y), abs=2e-5)


def test_a_repeated_feature_is_no_new_one() -> None:
    """Twice the same column is one column of twice the prior variance, n > d and n < d alike."""
    for n in (12, 60):
        x, y = problem(8, n, 20)
        wanted = score(np.sqrt(2) * x, y)
        assert score(np.concatenate([x, x], axis=1), y) == pytest.approx(wanted, abs=1e-8)
