"""Distances beside hand calculation, scipy, known truths, and jetnet's own numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from catalog.physics.distances import (
    classifier_auc,
    frechet,
    gaussian_distance,
    separation,
    separation_mean,
    w1_geomean,
    w1_mean,
    w1_per_observable,
)
from catalog.physics.jetnet_distances import by_largest, fpd, kpd
from tests.physics.make_jetnet_oracle import CASES, KEPT, arrays

ORACLE = json.loads(KEPT.read_text(encoding="utf-8"))["cases"]
ALL = (w1_geomean, w1_mean, separation_mean, frechet, fpd, kpd, classifier_auc)


def test_separation_power_of_three_bins_by_hand() -> None:
    """h1 = (.5, .5, 0), h2 = (.25, .25, .5): half of 1/12 + 1/12 + 1/2."""
    ours, theirs = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    assert separation(ours, theirs) == pytest.approx((1 / 12 + 1 / 12 + 1 / 2) / 2)
    assert separation(ours, ours) == 0
    assert separation(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1)


def test_separation_power_is_the_one_of_the_calochallenge() -> None:
    """Their own formula: densities times widths, over bins of any width."""
    rng = np.random.default_rng(1)
    edges = np.array([-9.0, -1.0, -0.5, 0.0, 2.0, 9.0])
    x, y = rng.normal(0.3, 1, 900), rng.normal(0, 1, 700)
    h1, h2 = (np.histogram(v, edges, density=True)[0] * np.diff(edges) for v in (x, y))
    wanted = 0.5 * np.sum((h1 - h2) ** 2 / (h1 + h2 + 1e-16))
    shares = (np.histogram(v, edges)[0] / len(v) for v in (x, y))
    assert separation(*shares) == pytest.approx(wanted)


def test_mean_separation_is_that_of_equal_content_bins_with_open_ends() -> None:
    """Reference 0..39 in four bins of ten; the sample fills the first and what lies below it."""
    reference = np.arange(40.0)[:, None]
    sample = np.concatenate([np.full(20, -5.0), np.full(20, 3.0)])[:, None]
    # h2 = 1/4 each, h1 = (1, 0, 0, 0): half of (9/16) / (5/4) + 3 x 1/4
    assert separation_mean(sample, reference, bins=4) == pytest.approx(0.5 * (0.45 + 0.75))


@pytest.mark.parametrize("n", [400, 5000])
def test_w1_is_that_of_scipy_in_spreads_of_the_reference(n: int) -> None:
    rng = np.random.default_rng(2)
    reference = rng.gamma(3.0, 1.0, (n, 4))
    sample = rng.gamma(3.0, 1.0, (n, 4)) * [1.0, 1.1, 1.5, 1.0] + [0, 0, 0, 2.0]
    wanted = [
        wasserstein_distance(x, y) / y.std() for x, y in zip(sample.T, reference.T, strict=True)
    ]
    np.testing.assert_allclose(w1_per_observable(sample, reference), wanted, rtol=0.03, atol=0.003)


QUICK = ("shifted", "few showers")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_fpd_and_kpd_agree_with_jetnet_within_its_errors(name: str) -> None:
    """Two of its errors; ten comparisons, and its FPD keeps the bias of what it draws from."""
    pair, wanted = arrays(**CASES[name]), ORACLE[name]
    assert wanted["case"] == CASES[name]
    for key, distance in (("fpd", fpd), ("kpd", kpd)):
        found, told = distance(*pair), wanted[key]
        assert abs(found - told["value"]) < 2 * told["error"], (key, found, told)


def test_kpd_is_the_mean_over_pairs() -> None:
    rng = np.random.default_rng(3)
    sample, reference = rng.normal(0.5, 1, (70, 3)), rng.normal(0, 1, (50, 3))
    x, y = by_largest(sample, reference)
    xx, yy, xy = ((a @ b.T / 3 + 1) ** 4 for a, b in ((x, x), (y, y), (x, y)))
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    assert kpd(sample, reference) == pytest.approx(sum(within) - 2 * xy.mean(), rel=1e-9)


def test_gaussian_distance_of_known_gaussians() -> None:
    one = np.array([1.0, 2.0]), np.diag([4.0, 1.0])
    other = np.array([0.0, 0.0]), np.diag([1.0, 9.0])
    assert gaussian_distance(one, other) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (1 - 3) ** 2)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_fpd_of_few_showers_is_right_on_average_where_the_plain_one_is_not(shift: float) -> None:
    rng, features = np.random.default_rng(4), 6
    found, plain, truth = [], [], []
    for _ in range(60):
        sample = rng.normal(shift, 1, (200, features))
        reference = rng.normal(0, 1, (200, features))
        x, y = by_largest(sample, reference)
        moments = [(v.mean(0), np.cov(v, rowvar=False)) for v in (x, y)]
        found.append(fpd(sample, reference))
        plain.append(gaussian_distance(*moments))
        truth.append(np.sum((shift / np.abs(reference).max(0)) ** 2))
    bias, was = np.mean(np.subtract(found, truth)), np.mean(np.subtract(plain, truth))
    assert was > 0.002
    assert abs(bias) < 0.15 * was


def test_fpd_and_kpd_of_equal_showers_scatter_about_zero() -> None:
    rng = np.random.default_rng(5)
    for distance in (fpd, kpd):
        found = np.array([distance(*rng.normal(size=(2, 400, 8))) for _ in range(60)])
        assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
        assert found.min() < 0


@pytest.mark.parametrize("distance", ALL)
def test_a_larger_defect_is_a_larger_distance(distance) -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 1500, 5)) + 8
    for change in (lambda a: x + a, lambda a: (x - 8) * (1 + a) + 8):
        values = [distance(change(size), y) for size in (0.15, 0.5, 1.5)]
        assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("distance", ALL)
def test_units_and_the_order_of_showers_do_not_matter(distance) -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(0.3, 1, (600, 4)) + 5, rng.normal(size=(600, 4)) + 5
    wanted = distance(x, y)
    units = np.array([1e-3, 1.0, 7.0, 1e4])
    assert distance(x * units, y * units) == pytest.approx(wanted, rel=0.01)
    again = distance(x[rng.permutation(600)], y[rng.permutation(600)])
    dealt = distance in (fpd, classifier_auc)  # halves and folds are dealt by row
    assert again == pytest.approx(wanted, rel=0.05 if dealt else 1e-9)
