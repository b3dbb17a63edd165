"""Scores of features and labels beside their definitions, written out row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from catalog.errors import UsageError
from catalog.scoring.scores import SCORES, load_score
from catalog.scoring.scores.gbc import gbc
from catalog.scoring.scores.gram import gram, shrinkage, spectrum
from catalog.scoring.scores.h_score import h_score, shrunk_h_score
from catalog.scoring.scores.knn import knn
from catalog.scoring.scores.leep import leep
from catalog.scoring.scores.loo_ridge import loo_ridge
from catalog.scoring.scores.nleep import memberships, nleep
from catalog.scoring.scores.pca import components
from catalog.scoring.scores.transrate import transrate

ON_CLASSES = [name for name in SCORES["labels"] if name != "leep"]


def classes(seed: int, n: int = 90, d: int = 6, apart: float = 2.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    x = rng.normal(size=(n, d)) + apart * rng.normal(size=(3, d))[labels]
    return x, labels


def both(x: np.ndarray, y: np.ndarray, score=h_score) -> float:
    return score(spectrum(gram(x, y)))


def between_and_within(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([x[labels == label].mean(0) for label in labels])
    return np.cov(means, rowvar=False), np.cov(x, rowvar=False)


def test_h_score_is_the_trace_of_its_paper() -> None:
    x, labels = classes(1)
    between, all_of = between_and_within(x, labels)
    assert both(x, labels) == pytest.approx(np.trace(np.linalg.inv(all_of) @ between), rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(90, 6), (30, 50)])
def test_shrunk_h_score_is_the_trace_with_a_shrunk_covariance(n: int, d: int) -> None:
    x, labels = classes(2, n, d)
    weight, mean = shrinkage(spectrum(gram(x, labels)))
    assert 0 < weight < 1
    shrunk = (1 - weight) * np.cov(x, rowvar=False, ddof=0) + weight * mean * np.eye(d)
    between = between_and_within(x, labels)[0]
    wanted = (1 - weight) * np.trace(np.linalg.solve(shrunk, between))
    assert both(x, labels, shrunk_h_score) == pytest.approx(wanted, rel=1e-9)


def test_h_score_of_fewer_rows_than_features_says_nothing_and_the_shrunk_one_does() -> None:
    noise, signal = classes(3, 30, 60, apart=0.0), classes(3, 30, 60, apart=2.0)
    assert both(*noise) == pytest.approx(2, abs=1e-6)
    assert both(*signal) == pytest.approx(2, abs=1e-6)
    assert both(*noise, shrunk_h_score) < 0.5 * both(*signal, shrunk_h_score)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_h_scores_do_not_see_rotations_units_or_names(seed: int) -> None:
    x, labels = classes(seed)
    moved = 1e4 * x @ ortho_group.rvs(6, random_state=seed) + 5
    for score in (h_score, shrunk_h_score):
        names = np.array(["b", "c", "a"])[labels]
        assert both(moved, names, score) == pytest.approx(both(x, labels, score), rel=1e-6)
    mixed = x @ np.random.default_rng(seed).normal(size=(6, 6))
    assert both(mixed, labels) == pytest.approx(both(x, labels), rel=1e-4)


def test_h_score_of_numbers_is_refused() -> None:
    x = classes(4)[0]
    with pytest.raises(UsageError, match="classes"):
        both(x, x[:, 0])


def test_loo_ridge_is_what_leaving_out_each_row_gives() -> None:
    x, y = np.random.default_rng(5).normal(size=(2, 25, 4))
    y = y[:, :2] + x[:, :2]
    total = np.sum((x - x.mean(0)) ** 2)
    squares = np.zeros(2)
    for i in range(25):
        kept = np.arange(25) != i
        design = np.concatenate([np.ones((25, 1)), x - x.mean(0)], axis=1)
        penalty = np.diag([0.0] + [0.1 * total / 25] * 4)
        a = design[kept]
        weights = np.linalg.solve(a.T @ a + penalty, a.T @ y[kept])
        squares += (y[i] - design[i] @ weights) ** 2
    wanted = -np.mean(squares / np.sum((y - y.mean(0)) ** 2, axis=0))
    assert loo_ridge(x, y) == pytest.approx(wanted, rel=1e-9)


def test_knn_is_the_error_of_the_neighbours_mean() -> None:
    x, y = np.random.default_rng(6).normal(size=(2, 30, 3))
    y = y[:, 0]
    found = []
    for i in range(30):
        order = np.argsort(np.linalg.norm(x - x[i], axis=1))
        found.append((y[order[1:6]].mean() - y[i]) ** 2)
    assert knn(x, y) == pytest.approx(-np.sum(found) / np.sum((y - y.mean()) ** 2))


def test_leep_by_hand() -> None:
    """Two source classes, sure of themselves: P(y | z) is the share of each label in each."""
    theta = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    labels = np.array(["a", "a", "b", "b"])
    wanted = (2 * math.log(2 / 3) + math.log(1 / 3) + math.log(1)) / 4
    assert leep(theta, labels) == pytest.approx(wanted)
    blind = np.full((4, 2), 0.5)
    assert leep(blind, labels) == pytest.approx(-math.log(2))
    with pytest.raises(UsageError, match="every row sums to 1"):
        leep(theta * 3, labels)
    with pytest.raises(UsageError, match="4 rows"):
        leep(theta, labels[:3])


@pytest.mark.parametrize("d", [4, 40])
def test_transrate_is_the_difference_of_coding_rates(d: int) -> None:
    x, labels = classes(7, 30, d)
    z = x - x.mean(0)
    z = z / np.sqrt(np.mean(np.sum(z**2, axis=1)))

    def rate(rows: np.ndarray) -> float:
        return 0.5 * np.linalg.slogdet(np.eye(d) + rows.T @ rows / (len(rows) * 1e-4))[1]

    wanted = rate(z) - np.mean([rate(z[labels == c]) for c in range(3)])
    assert transrate(x, labels) == pytest.approx(wanted, rel=1e-9)


def test_gbc_of_two_gaussians_is_their_bhattacharyya_coefficient() -> None:
    """Large samples of N(0, 1) and N(a, s^2) in one dimension, in closed form."""
    rng = np.random.default_rng(8)
    x = np.concatenate([rng.normal(0, 1, 40_000), rng.normal(1, 2, 40_000)])[:, None]
    labels = np.repeat([0, 1], 40_000)
    apart = 1 / (8 * 2.5) + 0.5 * math.log(2.5 / 2)
    assert gbc(x, labels) == pytest.approx(-2 * math.exp(-apart), rel=0.01)


def test_gbc_of_few_rows_in_many_dimensions_is_finite_and_ordered() -> None:
    near, far = (gbc(*classes(9, 24, 40, apart)) for apart in (0.1, 3.0))
    assert -6 <= near < far <= 0
    with pytest.raises(UsageError, match="one row"):
        gbc(np.random.default_rng(0).normal(size=(5, 2)), [0, 0, 0, 0, 1])


def test_components_hold_the_share_of_variance_that_was_asked_for() -> None:
    x = np.random.default_rng(10).normal(size=(200, 5)) * [10, 8, 1, 1, 1]
    total = x.var(0).sum()
    z = components(x, energy=0.8)
    assert z.shape[1] == 2
    assert z.var(0).sum() >= 0.8 * total > z[:, :1].var(0).sum()
    assert components(x).shape[1] == 5
    assert components(x, most=3).shape[1] == 3


def test_a_mixture_finds_groups_that_lie_apart() -> None:
    rng = np.random.default_rng(11)
    group = np.arange(300) % 2
    z = rng.normal(size=(300, 2)) * 0.1 + 3.0 * group[:, None]
    shares = memberships(z, 4)
    assert shares.sum(1) == pytest.approx(1)
    sure = leep(shares, group)
    assert sure > -0.05
    assert nleep(z, group) > -0.05


@pytest.mark.parametrize("name", ON_CLASSES)
def test_features_that_separate_the_classes_score_higher(name: str) -> None:
    score = load_score(name)
    values = [score(*classes(12, 120, 8, apart)) for apart in (0.0, 0.7, 3.0)]
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("name", ON_CLASSES)
def test_order_names_and_units_do_not_matter(name: str) -> None:
    score = load_score(name)
    x, labels = classes(13)
    wanted = score(x, labels)
    order = np.random.default_rng(0).permutation(len(x))
    assert score(x[order], labels[order]) == pytest.approx(wanted, rel=1e-6)
    assert score(x, np.array(["y", "z", "x"])[labels]) == pytest.approx(wanted, rel=1e-6)
    assert score(x * 1e3, labels) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("name", ON_CLASSES)
def test_a_constant_feature_changes_nothing(name: str) -> None:
    score = load_score(name)
    x, labels = classes(14)
    wide = np.concatenate([x, np.full((len(x), 1), 9.0)], axis=1)
    found = score(wide, labels)
    assert math.isfinite(found)
    if name != "gbc":  # its shrunk covariances live in all components
        assert found == pytest.approx(score(x, labels), rel=1e-6)


@pytest.mark.parametrize("name", ON_CLASSES)
def test_one_row_and_nan_are_refused(name: str) -> None:
    score = load_score(name)
    with pytest.raises(UsageError, match="row"):
        score(np.ones((1, 3)), np.array([0]))
    x, labels = classes(15)
    with pytest.raises(UsageError, match="90 rows of features"):
        score(x, labels[:-1])
    x[4, 2] = np.nan
    with pytest.raises(UsageError, match="column 2"):
        score(x, labels)
