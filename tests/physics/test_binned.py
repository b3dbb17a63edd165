"""Observables per energy and angle bin, and correlations of depths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalog.errors import UsageError
from catalog.physics.binned import LEVELS, EnergyCurve, by_bin, layer_correlation
from catalog.physics.distances import correlation_distance
from catalog.physics.observables import Observables, observe
from tests.toys import shower_set

EDGES = (1.0, 5.0, 20.0, 100.0)


@pytest.fixture(scope="module")
def showers(tmp_path_factory: pytest.TempPathFactory) -> Observables:
    found = observe(shower_set(tmp_path_factory.mktemp("data") / "f.h5", n=240))
    return replace(found, theta_rad=np.random.default_rng(0).uniform(0, 1, 240))


def test_every_shower_is_in_one_bin(showers: Observables) -> None:
    found = by_bin(showers, EDGES, (0.0, 0.5, 1.0))
    assert found.n.shape == (3, 2) and found.n.sum() == len(showers)
    at = (showers.incident_gev < 5) & (showers.theta_rad < 0.5)
    column = found.names.index("depth_mean")
    assert found.n[0, 0] == at.sum()
    assert found.mean[0, 0, column] == pytest.approx(showers.column("depth_mean")[at].mean())


def test_moments_of_two_halves_give_those_of_the_whole(showers: Observables) -> None:
    whole, one, two = (
        by_bin(showers.select(s), EDGES) for s in (slice(None), slice(0, 90), slice(90, None))
    )
    n = one.n + two.n
    share = (one.n / n)[..., None]
    mean = share * one.mean + (1 - share) * two.mean
    square = share * (one.sd**2 + one.mean**2) + (1 - share) * (two.sd**2 + two.mean**2)
    np.testing.assert_array_equal(n, whole.n)
    np.testing.assert_allclose(mean, whole.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(square - mean**2, whole.sd**2, rtol=1e-6, atol=1e-10)


def test_quantiles_rise_and_empty_bins_are_said_to_be_empty(showers: Observables) -> None:
    found = by_bin(showers, (1.0, 100.0, 1000.0))
    assert found.quantiles.shape[2] == len(LEVELS)
    assert (np.diff(found.quantiles[0, 0], axis=0) >= 0).all()
    assert found.n[1, 0] == 0 and np.isnan(found.mean[1, 0]).all()


@pytest.mark.parametrize("edges", [(1.0,), (5.0, 1.0), (1.0, 1.0)])
def test_edges_that_do_not_increase_are_refused(showers: Observables, edges: tuple) -> None:
    with pytest.raises(UsageError, match="increasing"):
        by_bin(showers, edges)


def test_correlations_do_not_come_from_the_energy(showers: Observables) -> None:
    """Layers that only follow the energy are uncorrelated at equal energy."""
    rng = np.random.default_rng(1)
    gev = np.exp(rng.uniform(0, 4, 4000))
    profile = np.log(gev)[:, None] * np.linspace(1, 2, 25) + rng.normal(0, 0.1, (4000, 25))
    many = replace(showers, incident_gev=gev, longitudinal=profile)
    found = layer_correlation(many)
    np.testing.assert_allclose(found, np.eye(9), atol=0.06)
    shared = replace(many, longitudinal=profile + rng.normal(0, 0.3, (4000, 1)))
    assert layer_correlation(shared)[0, 8] > 0.8
    assert correlation_distance(layer_correlation(shared), found) > 0.8


def test_distance_of_correlations_by_hand() -> None:
    one = np.array([[1, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 1]])
    other = np.array([[1, 0.1, 0], [0.1, 1, 0.5], [0, 0.5, 1]])
    assert correlation_distance(one, other) == pytest.approx(np.sqrt((0.16 + 0.09) / 3))


@pytest.mark.parametrize("energies", [1, 2, 3])
def test_a_curve_through_few_energies_is_no_wilder_than_they_are(energies: int) -> None:
    gev = np.repeat([2.0, 20.0, 200.0][:energies], 10)
    curve = EnergyCurve.fit(gev, np.full((len(gev), 1), 7.0))
    np.testing.assert_allclose(curve.at(np.geomspace(2.0, 200.0, 9)), 7.0, rtol=1e-9)
