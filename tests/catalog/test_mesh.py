"""Rebinning and observables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.domain.mesh import Shape
from catalog.physics.distances import (
    auc,
    classifier_auc,
    frechet,
    separation_mean,
    w1_geomean,
    w1_per_observable,
)
from catalog.physics.jetnet_distances import fpd, kpd
from catalog.physics.observables import observe
from catalog.showers import PHYSICS_SHAPE, polar_shape, rebin
from catalog.showers.calochallenge import grid
from tests.toys import shower_set

FINE = grid(50, 4.0, 20, 5.0, 20, 5.0)


@settings(max_examples=25, deadline=None)
@given(
    layers=st.integers(1, 12),
    depth=st.floats(1, 60),
    ny=st.integers(1, 9),
    nx=st.integers(1, 9),
    cell=st.floats(2, 30),
)
def test_rebinning_into_a_mesh_that_covers_everything_keeps_the_energy(
    layers: int, depth: float, ny: int, nx: int, cell: float
) -> None:
    source = grid(layers, depth, ny, cell, nx, cell)
    showers = np.random.default_rng(0).random((2, source.voxels)).astype(np.float32)
    for shape in (
        polar_shape((0, 5, 400, 800), 8, (0, 1, 3, 200)),
        PHYSICS_SHAPE.__class__("cartesian", (0, 3, 800), (-200, 0, 200), (-200, -1, 1, 200)),
    ):
        moved = rebin(showers, source, shape.mesh(1.0, 1.0))
        np.testing.assert_allclose(moved.sum(1), showers.sum(1), rtol=1e-4)


def test_rebinning_to_the_same_mesh_changes_nothing() -> None:
    showers = np.ones((1, FINE.voxels), np.float32)
    assert rebin(showers, FINE, FINE) is showers


def test_energy_outside_the_target_is_lost_and_nothing_else() -> None:
    half = grid(25, 4.0, 20, 5.0, 20, 5.0)
    showers = np.ones((1, FINE.voxels), np.float32)
    assert rebin(showers, FINE, half).sum() == pytest.approx(FINE.voxels / 2)


def test_a_uniform_disc_stays_uniform_per_area() -> None:
    shape = polar_shape((0, 200), 8, (0, 10, 20, 30, 40))
    moved = rebin(np.ones((1, FINE.voxels), np.float32), FINE, shape.mesh(1, 1)).reshape(8, 4)
    areas = np.diff(np.array([0, 10, 20, 30, 40.0]) ** 2)
    density = moved / areas
    np.testing.assert_allclose(density, density.mean(), rtol=0.02)


def test_polar_rings_merge_exactly() -> None:
    fine = polar_shape((0, 1, 2, 3, 4), 16, (0, 1, 2, 3, 4)).mesh(5, 10)
    coarse = polar_shape((0, 2, 4), 16, (0, 2, 4)).mesh(5, 10)
    showers = np.random.default_rng(1).random((3, fine.voxels)).astype(np.float32)
    wanted = showers.reshape(3, 2, 2, 16, 2, 2).sum((2, 5)).reshape(3, -1)
    np.testing.assert_allclose(rebin(showers, fine, coarse), wanted, rtol=1e-5)


def _turned(n_phi: int, origin: float) -> Shape:
    phi = tuple(float(v) for v in origin + np.linspace(0, 2 * np.pi, n_phi + 1))
    return Shape("polar", (0, 1, 2), phi, (0, 1, 2, 3))


@settings(max_examples=60, deadline=None)
@given(
    n_source=st.integers(1, 17),
    n_target=st.integers(1, 17),
    source_at=st.one_of(st.sampled_from([0.0, -np.pi, np.pi, 2 * np.pi]), st.floats(-20, 20)),
    target_at=st.one_of(st.sampled_from([0.0, -np.pi, np.pi, 2 * np.pi]), st.floats(-20, 20)),
)
def test_a_polar_mesh_keeps_its_energy_wherever_phi_is_counted_from(
    n_source: int, n_target: int, source_at: float, target_at: float
) -> None:
    source = _turned(n_source, source_at).mesh(5, 10)
    target = _turned(n_target, target_at).mesh(5, 10)
    showers = np.random.default_rng(0).random((2, source.voxels)).astype(np.float32)
    for a, b in ((source, target), (target, source)):
        filled = np.resize(showers, (2, a.voxels))
        np.testing.assert_allclose(rebin(filled, a, b).sum(1), filled.sum(1), rtol=1e-5)


@pytest.mark.parametrize("origin", [0.0, np.pi / 2, -5 * np.pi])
def test_a_sector_lands_in_the_sector_that_it_is(origin: float) -> None:
    """Phi from 0 to 2 pi: each sector goes to its own place in -pi..pi, none is lost."""
    source, target = _turned(8, origin).mesh(5, 10), _turned(8, -np.pi).mesh(5, 10)
    showers = np.random.default_rng(2).random((1, 2, 8, 3)).astype(np.float32)
    moved = rebin(showers.reshape(1, -1), source, target).reshape(showers.shape)
    turned = np.roll(showers, round((origin + np.pi) / (np.pi / 4)), axis=2)
    np.testing.assert_allclose(moved, turned, rtol=1e-5)


def test_cells_reach_every_sector_of_a_mesh_that_counts_phi_from_zero() -> None:
    shape = Shape("polar", (0, 200), tuple(np.linspace(0, 2 * np.pi, 9)), (0, 40))
    moved = rebin(np.ones((1, FINE.voxels), np.float32), FINE, shape.mesh(1, 1))
    np.testing.assert_allclose(moved, moved.mean(), rtol=0.02)


def test_half_a_circle_still_loses_what_lies_beside_it() -> None:
    half = Shape("polar", (0, 1, 2), (0.0, np.pi / 2, np.pi), (0, 1, 2, 3)).mesh(5, 10)
    full = _turned(8, -np.pi).mesh(5, 10)
    showers = np.ones((1, full.voxels), np.float32)
    assert rebin(showers, full, half).sum() == pytest.approx(full.voxels / 2)


def test_observables_do_not_depend_on_the_unit_of_length_of_the_cells(tmp_path: Path) -> None:
    """Splitting every layer in two changes no observable beyond rounding."""
    showers = shower_set(tmp_path / "f.h5", n=20)
    double = grid(50, 4.04, 9, 10.0, 9, 10.0)
    from dataclasses import replace

    split = replace(showers, energies=rebin(showers.energies, showers.mesh, double), mesh=double)
    np.testing.assert_allclose(observe(split).values, observe(showers).values, rtol=2e-3, atol=2e-3)


def test_response_is_the_visible_energy_over_the_sampling_fraction(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5", n=30)
    observed = observe(showers)
    inside = showers.on(PHYSICS_SHAPE).sum((1, 2, 3))
    wanted = inside / showers.incident_gev / showers.detector.sampling_fraction
    response = observed.values[:, observed.names.index("response")]
    np.testing.assert_allclose(response, wanted, rtol=1e-5)
    assert (inside < showers.energies.sum(1) * 1.00001).all()


def _sets(shift: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(shift, 1, (n, 5)), rng.normal(0, 1, (n, 5))


@pytest.mark.parametrize("distance", [w1_geomean, separation_mean, frechet, fpd, kpd])
def test_distances_grow_with_the_shift_and_do_not_depend_on_units(distance) -> None:
    values = [distance(*_sets(shift)) for shift in (0.0, 0.5, 2.0)]
    assert values[0] < values[1] < values[2]
    sample, reference = _sets(0.5)
    scale = np.array([1e-3, 1.0, 1e3, 7.0, 1e6])
    assert distance(sample * scale, reference * scale) == pytest.approx(values[1], rel=0.01)


def test_the_w1_of_a_shift_is_the_shift() -> None:
    sample, reference = _sets(0.0)
    shifted = w1_per_observable(reference + 0.7 * reference.std(0), reference)
    np.testing.assert_allclose(shifted, 0.7, rtol=5e-3)
    assert w1_per_observable(sample, sample).max() == 0


def test_auc_is_half_for_twins_and_one_for_strangers() -> None:
    assert classifier_auc(*_sets(0.0)) == pytest.approx(0.5, abs=0.06)
    assert classifier_auc(*_sets(4.0)) > 0.99


@pytest.mark.parametrize("n", [5, 300])
def test_auc_is_half_where_there_is_nothing_to_tell_apart(n: int) -> None:
    sample, _ = _sets(0.0)
    assert classifier_auc(sample, sample) == pytest.approx(0.5)
    assert classifier_auc(np.ones((400, 3)), np.ones((n, 3))) == pytest.approx(0.5)


def test_auc_of_twins_is_half_on_average() -> None:
    draws = np.random.default_rng(4).normal(size=(200, 2, 60, 5))
    assert np.mean([classifier_auc(*pair) for pair in draws]) == pytest.approx(0.5, abs=0.015)


def test_a_tie_counts_half() -> None:
    assert auc(np.array([1.0, 2.0]), np.array([1.0, 3.0, 0.0])) == pytest.approx((1.5 + 2) / 6)


def test_a_constant_observable_breaks_no_distance() -> None:
    sample, reference = _sets(0.3)
    sample[:, 0], reference[:, 0] = 1.0, 1.0
    for distance in (w1_geomean, separation_mean, frechet, fpd, kpd, classifier_auc):
        assert np.isfinite(distance(sample, reference))
