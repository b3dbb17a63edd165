"""Bootstrap errors beside the spread that new showers would really give."""

from __future__ import annotations

import numpy as np
import pytest

from catalog.physics.distances import _QUANTILES, _quantiles
from catalog.physics.errors import _drawn_kernel_distance, _kernels, bootstrap_errors
from catalog.physics.jetnet_distances import kpd
from catalog.physics.validate import METRICS


def _pairs(count: int, n: int = 200, shift: float = 0.25) -> np.ndarray:
    drawn = np.random.default_rng(7).normal(size=(count, 2, n, 8))
    drawn[:, 0] += shift
    return drawn


def test_errors_are_about_the_spread_over_independent_showers() -> None:
    pairs = _pairs(60)
    found = [bootstrap_errors(*pair) for pair in pairs[:5]]
    for name, metric in METRICS.items():
        wanted = np.std([metric(*pair) for pair in pairs])
        assert 0.5 < np.mean([errors[name] for errors in found]) / wanted < 2, name


def test_errors_fall_with_the_number_of_showers_also_beyond_the_kernel_rows() -> None:
    few, many = (bootstrap_errors(*_pairs(1, n)[0]) for n in (150, 2400))
    for name in METRICS:
        assert 2 < few[name] / many[name] < 25, name  # 4 for a mean, 16 for a square


def test_the_same_showers_have_the_same_errors() -> None:
    pair = _pairs(1)[0]
    assert bootstrap_errors(*pair) == bootstrap_errors(*pair)


def test_drawing_each_shower_once_is_the_kernel_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = _pairs(1)[0]
    monkeypatch.setattr("catalog.physics.errors._counts", lambda _rng, n: np.ones(n))
    kernels, shrink = _kernels(*pair)
    found = _drawn_kernel_distance(np.random.default_rng(0), *kernels)
    assert shrink == 1
    assert found == pytest.approx(kpd(*pair))


@pytest.mark.parametrize("n", [1, 2, 41, 650])
def test_quantiles_by_one_sort_are_those_of_numpy(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(n, 6)).round(1)
    np.testing.assert_allclose(_quantiles(x), np.quantile(x, _QUANTILES, axis=0), rtol=1e-13)


def test_a_constant_observable_has_finite_errors() -> None:
    pair = _pairs(1)[0]
    pair[:, :, 0] = 1.0
    assert np.isfinite(list(bootstrap_errors(*pair).values())).all()


def test_the_fewest_showers_have_errors_too() -> None:
    for seed in range(5):
        found = bootstrap_errors(*_pairs(1, 20)[0], seed)
        assert np.isfinite(list(found.values())).all()
