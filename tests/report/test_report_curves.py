"""What the plots show, as numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from catalog.physics.observables import Observables
from catalog.report import curves

MakeSet = Callable[..., Observables]


def all_curves(showers: Observables) -> list[curves.Curve]:
    energies, cells = curves.energy_edges([showers]), curves.cell_edges([showers])
    return [
        curves.longitudinal(showers),
        curves.radial(showers),
        curves.response(showers, energies),
        curves.resolution(showers, energies),
        curves.cell_spectrum(showers, cells),
    ]


def test_ratio_of_a_set_to_itself_is_one_everywhere(reference: Observables) -> None:
    for curve in all_curves(reference):
        known = np.isfinite(curve.value)
        assert known.mean() > 0.9
        np.testing.assert_allclose(curve.over(curve).value[known], 1.0)


def test_longitudinal_profile_integrates_to_the_response(reference: Observables) -> None:
    curve = curves.longitudinal(reference)
    total = float((curve.value * np.diff(curve.edges)).sum())
    assert total == pytest.approx(float(reference.longitudinal.sum(1).mean()))


def test_radial_density_integrates_over_area_to_the_response(reference: Observables) -> None:
    curve = curves.radial(reference)
    total = float((curve.value * np.pi * np.diff(curve.edges**2)).sum())
    assert total == pytest.approx(float(reference.radial.sum(1).mean()))


def test_spectrum_integrates_to_the_voxels_per_shower(reference: Observables) -> None:
    curve = curves.cell_spectrum(reference, curves.cell_edges([reference]))
    assert np.nansum(curve.value * 0.1) == pytest.approx(40.0)


def test_every_shower_is_in_one_energy_bin(reference: Observables) -> None:
    edges = curves.energy_edges([reference])
    assert sum(map(len, curves._per_energy_bin(reference, edges))) == 400
    assert np.allclose(np.diff(np.log(edges)), np.log(edges[1] / edges[0]))


def test_error_of_the_mean_shrinks_with_the_root_of_n(make_set: MakeSet) -> None:
    few, many = curves.longitudinal(make_set(100)), curves.longitudinal(make_set(10_000))
    assert np.allclose(few.error / many.error, 10, rtol=0.4)


def test_error_of_the_resolution_covers_repeated_experiments(make_set: MakeSet) -> None:
    """One GeV bin, 500 repetitions of 100 showers: quoted error against true scatter."""
    edges = np.array([1.0, 101.0])
    found = [curves.resolution(make_set(100, seed), edges) for seed in range(500)]
    scatter = float(np.std([curve.value[0] for curve in found]))
    assert float(np.mean([curve.error[0] for curve in found])) == pytest.approx(scatter, rel=0.12)


def test_resolution_knows_the_spread_of_a_gaussian(make_set: MakeSet) -> None:
    rng = np.random.default_rng(0)
    flat = np.zeros((20_000, 25))
    flat[:, 0] = rng.normal(0.9, 0.09, 20_000)
    base = make_set(20_000)
    curve = curves.resolution(replace(base, longitudinal=flat), np.array([1.0, 101.0]))
    assert curve.value[0] == pytest.approx(0.1, rel=0.02)


def test_nan_showers_change_nothing(reference: Observables) -> None:
    spoiled = replace(
        reference,
        longitudinal=np.vstack([reference.longitudinal, np.full((3, 25), np.nan)]),
        incident_gev=np.append(reference.incident_gev, [2.0, 3.0, 4.0]),
    )
    edges = curves.energy_edges([reference])
    for make in (curves.response, curves.resolution):
        np.testing.assert_allclose(make(spoiled, edges).value, make(reference, edges).value)
    np.testing.assert_allclose(
        curves.longitudinal(spoiled).value, curves.longitudinal(reference).value
    )


def test_showers_of_one_energy_get_one_bin(reference: Observables) -> None:
    edges = curves.energy_edges([replace(reference, incident_gev=np.full(400, 50.0))])
    assert edges.tolist() == pytest.approx([45.0, 55.0])
