"""Baselines use what they may use and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from catalog.errors import UsageError
from catalog.scoring.scores.baselines import (
    metadata,
    parameters,
    popularity,
    random,
    self_quality,
)


def history(seed: int, models: int = 8, targets: int = 10, effect: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = effect * rng.normal(size=(models, 1)) + 0.3 * rng.normal(size=(models, targets))
    return z - z.mean(0)


def test_popularity_does_not_look_at_what_it_is_tested_on() -> None:
    z = history(1)
    wanted = popularity(z, [3, 5])
    z[:, [3, 5]] = 1e6
    np.testing.assert_array_equal(popularity(z, [3, 5]), wanted)
    assert not np.allclose(popularity(z, [3]), wanted)


def test_popularity_is_the_shrunk_mean() -> None:
    """tau^2 and sigma^2 by analysis of variance, for models all seen on nine targets."""
    z = history(2)
    kept = np.delete(z, 0, axis=1)
    within = kept.var(1, ddof=1).mean()
    between = kept.mean(1).var(ddof=1) - within / 9
    wanted = kept.mean(1) * between / (between + within / 9)
    np.testing.assert_allclose(popularity(z, [0]), wanted, rtol=1e-9)


def test_popularity_trusts_a_model_seen_once_less_and_an_unseen_one_not_at_all() -> None:
    z = history(3)
    z[0, 1:], z[1] = np.nan, np.nan
    found = popularity(z, [9])
    assert 0 < found[0] / z[0, 0] < 0.95
    assert found[1] == 0
    assert np.isfinite(found).all()
    assert (popularity(np.full((3, 4), np.nan), [0]) == 0).all()


def test_popularity_of_noise_is_shrunk_to_nothing() -> None:
    sizes = [np.abs(popularity(history(s, effect=0.0), [0])).mean() for s in range(20)]
    assert np.mean(sizes) < 0.05


def test_metadata_is_a_distance_in_spreads_over_the_models() -> None:
    models = np.array([[0.1, 30.0], [0.3, 50.0]])  # spreads 0.1 and 10
    found = metadata(models, [0.2, 30.0])
    np.testing.assert_allclose(found, [-math.sqrt(1 / 2), -math.sqrt(5 / 2)])
    np.testing.assert_allclose(metadata(models * [1e3, 1], [200.0, 30.0]), found)


def test_metadata_leaves_out_what_is_unknown() -> None:
    models = np.array([[0.1, np.nan], [0.3, 50.0], [np.nan, np.nan]])
    found = metadata(models, [0.1, 60.0])
    assert found[0] == 0
    assert found[1] < 0
    assert found[2] == -np.inf
    np.testing.assert_array_equal(metadata(models[:2], [0.1, np.nan]) == 0, [True, False])
    with pytest.raises(UsageError, match="geometries"):
        metadata(models, [0.1])


def test_an_equal_geometry_is_the_nearest_one() -> None:
    rng = np.random.default_rng(4)
    models = rng.normal(size=(6, 5))
    found = metadata(models, models[4])
    assert found.argmax() == 4
    assert found[4] == 0


def test_random_orders_follow_their_seed() -> None:
    np.testing.assert_array_equal(random(9, 1), random(9, 1))
    assert not np.array_equal(random(9, 1), random(9, 2))


def test_better_and_bigger_models_score_higher() -> None:
    assert (np.diff(self_quality([0.5, 0.2, 0.1])) > 0).all()
    np.testing.assert_allclose(parameters([1, 1000]), [0, math.log(1000)])
