"""Distances from fingerprints are those of the showers, but for the resolution of the bins."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from catalog.fingerprint import merge, nearness, quantiles, rank, stack, vector_of, w1_geomean
from catalog.fingerprint.axes import CELLS, FEWEST, LEVELS, LOW, NAMES, RECORDED, STEP
from catalog.fingerprint.distances import _shrunk
from catalog.fingerprint.sums import Fingerprint, summary
from catalog.fingerprint.vector import VECTOR_LENGTH
from catalog.physics import distances
from catalog.physics.observables import Observables, observe
from catalog.showers.reader import read_showers
from tests.fingerprint.makers import observables, taken

DATA = Path(__file__).parents[2] / "sample_models" / "data"
FILES = ("clic-siw-photon", "par04-siw-electron", "pbwo4-electron")
PAIRS = [(a, b) for a in FILES for b in FILES if a != b]


@pytest.fixture(scope="module")
def seen() -> dict[str, Observables]:
    return {name: observe(read_showers(DATA / f"{name}.h5")) for name in FILES}


@pytest.fixture(scope="module")
def taken_of(seen: dict[str, Observables]) -> dict[str, Fingerprint]:
    return {name: summary(found) for name, found in seen.items()}


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_w1_is_within_a_tenth_of_that_of_the_showers(
    seen: dict[str, Observables], taken_of: dict[str, Fingerprint], source: str, target: str
) -> None:
    exact = distances.w1_geomean(seen[source].values, seen[target].values)
    assert w1_geomean(taken_of[source], taken_of[target]) == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(("source", "target"), [PAIRS[0], PAIRS[2], PAIRS[5]])
def test_frechet_is_near_that_of_the_showers_where_none_is_clipped(
    seen: dict[str, Observables], taken_of: dict[str, Fingerprint], source: str, target: str
) -> None:
    exact = distances.frechet(seen[source].values, seen[target].values)
    assert nearness(taken_of[source], taken_of[target]).frechet == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_nearer_than_itself(taken_of: dict[str, Fingerprint], name: str) -> None:
    found = nearness(taken_of[name], taken_of[name])
    assert found.w1_geomean == pytest.approx(1e-4)  # the least that counts
    assert found.frechet == pytest.approx(0, abs=1e-9)
    assert found.covered == 1


def test_shrinking_keeps_the_trace_and_comes_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = np.diag(rng.uniform(0.5, 2, 20))
    found = np.cov(rng.multivariate_normal(np.zeros(20), truth, 30), rowvar=False)
    shrunk = _shrunk(found, 30)
    assert np.trace(shrunk) == pytest.approx(np.trace(found))
    assert np.linalg.norm(shrunk - truth) < 0.7 * np.linalg.norm(found - truth)
    assert _shrunk(found, 10**9) == pytest.approx(found, rel=1e-6, abs=1e-6)


def test_another_spectrum_of_the_same_showers_is_no_distance(seen: dict[str, Observables]) -> None:
    """What the plain distance of the two sets takes for one."""
    whole = seen[FILES[0]]
    keep = np.random.default_rng(0).random(len(whole)) < whole.incident_gev / 60
    hard = whole.select(np.flatnonzero(keep))
    assert distances.w1_geomean(whole.values, hard.values) > 0.5
    assert w1_geomean(summary(whole), summary(hard)) < 0.06


def test_quantiles_are_off_by_at_most_a_cell(seen: dict[str, Observables]) -> None:
    levels = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    for found in seen.values():
        taken_here = summary(found)
        exact = np.quantile(found.values, levels, axis=0)
        cell = (STEP * (1 << taken_here.cells.shift)).max((0, 1))[:RECORDED]
        assert (np.abs(quantiles(taken_here, levels)[:, :RECORDED] - exact) <= cell).all()
        assert (cell <= 2 / (CELLS - 1) * np.ptp(found.values, axis=0) + STEP[:RECORDED]).all()


def test_quantiles_rise_and_lie_within_what_was_seen() -> None:
    found = quantiles(taken(1000), np.linspace(0, 1, 20))
    assert all((low <= high).all() for low, high in pairwise(found))


def test_energies_without_the_source_are_not_compared() -> None:
    seen = observables(2000)
    low, high = (
        summary(seen.select(np.flatnonzero(rows)))
        for rows in (seen.incident_gev < 10, seen.incident_gev > 20)
    )
    nothing = nearness(low, high)
    assert (nothing.w1_geomean, nothing.frechet, nothing.covered) == (np.inf, np.inf, 0.0)
    assert 0.4 < nearness(low, summary(seen)).covered < 0.6
    assert nearness(summary(seen), low).covered == 1


def test_a_bin_with_a_few_source_showers_is_not_compared() -> None:
    few = summary(observables(1000).select(slice(0, FEWEST - 1)))
    assert nearness(few, taken(1000)).covered == 0


def test_other_angles_are_other_bins() -> None:
    along, inclined = taken(500), taken(500, theta=0.5)
    assert nearness(inclined, along).covered == 0
    assert nearness(merge([along, inclined]), along).w1_geomean == pytest.approx(1e-4)


def test_the_response_is_not_compared_where_it_was_normalised() -> None:
    seen, shifted = observables(3000), observables(3000)
    shifted.values[:, NAMES.index("response")] *= 1.5
    one, other, unknown = summary(seen), summary(shifted), summary(shifted, known=False)
    assert nearness(other, one).w1_geomean > 1.2e-4
    assert nearness(unknown, one).w1_geomean == pytest.approx(1e-4)
    assert rank(one, np.array([vector_of(unknown)])) == pytest.approx(1e-4)
    assert rank(one, np.array([vector_of(other)])) > 1.2e-4


def test_a_difference_within_one_cell_is_seen_by_its_mean() -> None:
    """One shower far out makes cells wide; the others lie at the start of one."""
    rng = np.random.default_rng(0)
    source, target = observables(2000, spread=0.0), observables(2000)
    source.values[0] = LOW[:RECORDED] + STEP[:RECORDED] * (LEVELS - 1)
    level = LEVELS / 2 + 64 + 20 * rng.normal(size=target.values.shape)
    target.values[:] = LOW[:RECORDED] + STEP[:RECORDED] * level
    for each in (source, target):
        each.incident_gev[:] = 10
    exact = distances.w1_geomean(source.values, target.values)
    assert w1_geomean(summary(source), summary(target)) == pytest.approx(exact, rel=0.1)


def test_the_frechet_distance_sees_correlations_alone() -> None:
    independent, correlated = observables(4000, 1), observables(4000, 2)
    common = np.random.default_rng(3).normal(size=(4000, 1))
    mixed = 0.6 * correlated.values + 0.4 * (LOW + STEP * LEVELS / 2)[:RECORDED]
    correlated.values[:] = mixed + 0.8 * 0.05 * (STEP * LEVELS)[:RECORDED] * common
    for each in (independent, correlated):
        each.incident_gev[:] = 10
    exact = distances.frechet(independent.values, correlated.values)
    assert exact > 5
    found = nearness(summary(independent), summary(correlated))
    assert found.frechet == pytest.approx(exact, rel=0.02)
    assert found.w1_geomean < 0.05


def sources(seen: dict[str, Observables]) -> list[Observables]:
    """Twenty models: full simulation of three detectors, some of it distorted."""
    found = []
    for k in range(20):
        base = seen[FILES[k % 3]]
        values = base.values.copy()
        values[:, 2 * (k % 3)] *= 1 + 0.1 * k
        values[:, 6:] *= 1 + 0.01 * k
        columns = {"values": values, "extra": base.extra}
        found.append(Observables(**{**vars(base), **columns}))
    return found


def test_ranks_from_short_vectors_agree_with_distances_of_the_showers(
    seen: dict[str, Observables], taken_of: dict[str, Fingerprint]
) -> None:
    models = sources(seen)
    vectors = stack([vector_of(summary(model)).tobytes() for model in models])
    for name in FILES:
        exact = [distances.w1_geomean(model.values, seen[name].values) for model in models]
        found = rank(taken_of[name], vectors)
        assert spearmanr(found, exact).statistic > 0.9
        assert np.argmin(found) == np.argmin(exact)


def test_models_without_a_usable_vector_come_last(taken_of: dict[str, Fingerprint]) -> None:
    target = taken_of[FILES[0]]
    good = vector_of(target).tobytes()
    found = rank(target, stack([b"", good, good[:-4], b"\xff" * len(good), good]))
    assert np.isfinite(found).tolist() == [False, True, False, False, True]
    assert rank(target, stack([])).shape == (0,)


def test_models_of_other_energies_come_last(taken_of: dict[str, Fingerprint]) -> None:
    seen = observables(3000)
    cold = vector_of(summary(seen.select(np.flatnonzero(seen.incident_gev < 0.4))))
    assert rank(taken_of[FILES[0]], np.array([cold]))[0] == np.inf


def test_a_vector_has_a_fixed_length_whatever_the_energies() -> None:
    seen = observables(3000)
    for low in (0.0, 5000.0, 9000.0):
        vector = vector_of(summary(seen.select(np.flatnonzero(seen.incident_gev > low))))
        assert vector.shape == (VECTOR_LENGTH,)
        assert vector.dtype == np.float32
        assert np.isfinite(vector).all()
    assert vector_of(taken(1)) is None
