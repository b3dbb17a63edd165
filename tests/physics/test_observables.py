"""Observables in units of the detector, whatever the cells."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import UsageError
from catalog.physics.columns import HIT, SPECTRUM_EDGES, shower_maximum
from catalog.physics.observables import join, observe, observe_grid
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from catalog.showers.reader import read_showers
from catalog.showers.showerfile import open_showers
from tests.toys import profile, shower_file

DETECTOR = load_detector("clic-siw")
X0, RM = (float(v or 0) for v in (DETECTOR.x0_mm, DETECTOR.rm_mm))


def _shower(mesh: Mesh, offset_mm: tuple[float, float] = (0.0, 0.0)) -> ShowerSet:
    """One smooth shower of 10 GeV on any mesh: gamma in depth, Gaussian of R_M across."""
    depth = np.linspace(0, 25, 2001)
    density = depth**3 * np.exp(-0.5 * depth)
    cumulated = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    inside = [
        np.interp([z.z0 / X0, z.z1 / X0], depth, cumulated / cumulated[-1]) for z in mesh.layers
    ]
    plane = _plane(mesh.layers[0], offset_mm)
    energies = np.concatenate([(hi - lo) * plane for lo, hi in inside])[None].astype(np.float32)
    detector = DETECTOR.model_copy(update={"sampling_fraction": 1.0})
    return ShowerSet(10 * energies, np.array([10.0]), np.zeros(1), mesh, detector, 22)


def _plane(layer: Layer, offset_mm: tuple[float, float]) -> np.ndarray:
    """Share of a Gaussian of width R_M / 2 in each cell, by drawing it."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 0.5 * RM, (2, 400_000)) + np.array(offset_mm)[:, None]
    slow, fast = (y, x) if layer.kind == "cartesian" else (np.arctan2(y, x), np.hypot(x, y))
    return np.histogram2d(slow, fast, (layer.a, layer.b))[0].ravel() / x.size


def _cartesian(cell_mm: float, depths_x0: list[float]) -> Mesh:
    half = np.ceil(3 * RM / cell_mm) * cell_mm
    edges = tuple(np.arange(-half, half + 0.5 * cell_mm, cell_mm))
    return Mesh(
        tuple(Layer(a * X0, b * X0, "cartesian", edges, edges) for a, b in pairwise(depths_x0))
    )


def _polar(step_mm: float, sectors: int) -> Mesh:
    radii = tuple(np.arange(0, 3 * RM, step_mm))
    phi = tuple(np.linspace(-np.pi, np.pi, sectors + 1))
    return Mesh(
        tuple(Layer(a * X0, (a + 0.5) * X0, "polar", phi, radii) for a in np.arange(0, 25, 0.5))
    )


IRREGULAR = [*np.arange(0, 6, 0.4), *np.arange(6, 15, 0.9), *np.arange(15, 25.1, 2.0)]
RECORDED = [1.0092447820852906, 7.957566275743497, 0.3906464203575491, 0.38740156646239876, 0.6466]
MESHES = {
    "fine cells": _cartesian(0.1 * RM, list(np.arange(0, 25.1, 0.5))),
    "irregular layers": _cartesian(0.15 * RM, [float(v) for v in IRREGULAR]),
    "cylinder": _polar(0.1 * RM, 16),
}


@pytest.mark.parametrize("mesh", MESHES)
def test_one_shower_has_the_same_observables_on_any_cells(mesh: str) -> None:
    found, wanted = observe(_shower(MESHES[mesh])), observe(_shower(MESHES["cylinder"]))
    for name, most in {
        "response": 0.01, "depth_mean": 0.1, "depth_rms": 0.1, "radius_mean": 0.02,
        "radius_rms": 0.02, "shower_max_x0": 0.3, "depth_skew": 0.05, "hits": 0.05,
    }.items():  # fmt: skip
        assert abs(found.column(name)[0] - wanted.column(name)[0]) < most, name


def test_the_maximum_is_that_of_the_profile() -> None:
    depth = np.arange(25.0) + 0.5
    for top in (4.2, 6.0, 7.7, 10.4):
        curve = (depth / top) ** 4 * np.exp(4 * (1 - depth / top))
        assert shower_maximum(curve[None])[0] == pytest.approx(top, abs=0.3)
    assert shower_maximum(np.zeros((1, 25)))[0] == 0


@pytest.mark.parametrize(("axis", "name"), [(0, "centre_x_rm"), (1, "centre_y_rm")])
def test_the_centre_of_gravity_moves_with_the_shower(axis: int, name: str) -> None:
    offset = [0.0, 0.0]
    offset[axis] = 0.3 * RM
    here, there = (observe(_shower(MESHES["fine cells"], o)) for o in ((0.0, 0.0), tuple(offset)))
    moved = there.column(name)[0] - here.column(name)[0]
    assert moved == pytest.approx(0.3, abs=0.03)
    others = {"centre_x_rm", "centre_y_rm"} - {name}
    assert abs(there.column(others.pop())[0]) < 0.01


def test_hits_sparsity_and_spectrum_are_of_one_threshold() -> None:
    rng = np.random.default_rng(1)
    grid = (10 * profile()[None] * rng.gamma(0.3, 3, (50, *PHYSICS_SHAPE.size))).astype(np.float32)
    found = observe_grid(grid, np.full(50, 10.0), 1.0)
    voxels = np.prod(PHYSICS_SHAPE.size)
    np.testing.assert_allclose(found.column("sparsity"), 1 - found.column("hits"))
    np.testing.assert_allclose(found.spectrum.sum(1), found.column("hits") * voxels)
    counted = np.histogram(found.cells, [*SPECTRUM_EDGES, np.inf])[0]
    np.testing.assert_array_equal(found.spectrum.sum(0), counted)
    assert found.cells.min() > HIT


def test_empty_showers_have_finite_observables() -> None:
    found = observe_grid(np.zeros((3, *PHYSICS_SHAPE.size), np.float32), np.ones(3), 0.02)
    assert np.isfinite(found.values).all()
    assert all(np.isfinite(values).all() for values in found.extra.values())


def test_a_file_read_in_chunks_has_the_observables_of_the_whole(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5", n=150)
    found, wanted = observe(open_showers(path, chunk=37)), observe(read_showers(path))
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found.cells, wanted.cells, rtol=1e-5)
    np.testing.assert_array_equal(found.spectrum.sum(), wanted.spectrum.sum())


def test_chunks_of_unknown_fraction_are_normalised_to_the_mean_of_all(tmp_path: Path) -> None:
    """A second half of twice the energy must show, and the mean response be 1."""
    path = shower_file(tmp_path / "f.h5", n=100)
    with h5py.File(path, "r+") as file:
        file["showers"][50:] *= 2
    showers = open_showers(path, chunk=30)
    found = observe(showers.of(DETECTOR.model_copy(update={"sampling_fraction": None})))
    response = found.longitudinal.sum(1)
    assert response[50:].mean() / response[:50].mean() == pytest.approx(2, rel=0.05)
    assert response.mean() == pytest.approx(1, rel=0.02)  # a little lies beside the mesh


def test_selecting_and_joining_keep_every_shower_whole(tmp_path: Path) -> None:
    full = observe(read_showers(shower_file(tmp_path / "f.h5", n=60)))
    again = join([full.select(slice(0, 20)), full.select(np.arange(20, 60))])
    np.testing.assert_array_equal(again.values, full.values)
    np.testing.assert_array_equal(again.cells, full.cells)
    picked = full.select(np.array([7, 3]))
    assert len(picked.cells) == picked.spectrum.sum() == full.spectrum[[7, 3]].sum()
    np.testing.assert_array_equal(
        picked.column("shower_max_x0"), full.column("shower_max_x0")[[7, 3]]
    )


def test_an_unknown_observable_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    full = observe(read_showers(shower_file(tmp_path / "f.h5", n=50)))
    with pytest.raises(UsageError, match="no observable 'depth'") as told:
        full.column("depth")
    assert "depth_mean" in told.value.hint and "shower_max_x0" in told.value.hint


def test_the_recorded_set_is_the_one_that_evidence_was_recorded_with() -> None:
    """Values of a seeded shower at the commit that recorded the first adaptations."""
    rng = np.random.default_rng(7)
    grid = (10 * profile()[None] * rng.gamma(2.0, 0.5, (40, *PHYSICS_SHAPE.size))).astype(
        np.float32
    )
    found = observe_grid(grid, np.full(40, 10.0), 1.0)
    assert len(found.names) == 27
    np.testing.assert_allclose(found.values.mean(0)[[0, 1, 4, 20, 23]], RECORDED, rtol=1e-6)
