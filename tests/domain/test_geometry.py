"""Geometry in numbers, and the one place where conditions are filled in."""

from __future__ import annotations

import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.domain.geometry import CONDITIONS, Geometry, conditions, geometry_of
from catalog.errors import UsageError

GEV, THETA = np.array([1.0, 10.0]), np.array([0.1, 0.2])


def test_layers_times_their_depth_is_the_depth_of_the_stack() -> None:
    detector = load_detector("clic-siw")
    geometry = geometry_of(detector)
    assert detector.depth_mm is not None
    assert detector.x0_mm is not None
    deep = detector.depth_mm / detector.x0_mm
    assert geometry.layers * geometry.layer_x0 == pytest.approx(deep)
    assert geometry.sampling_fraction == detector.sampling_fraction


def test_thicker_absorber_makes_deeper_layers_and_smaller_sampling() -> None:
    tungsten, crystal = (
        geometry_of(load_detector("par04-siw")),
        geometry_of(load_detector("cms-ecal")),
    )
    assert tungsten.sampling_fraction < crystal.sampling_fraction
    assert tungsten.layer_x0 < crystal.layer_x0


def test_every_known_condition_becomes_its_own_column() -> None:
    geometry = Geometry(0.03, 40, 0.5, 0.26, 10.0)
    table = conditions(CONDITIONS, GEV, THETA, 22, geometry)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[1], [10, 0.2, 1, 0.03, 40, 0.5, 0.26, 10], rtol=1e-6)
    np.testing.assert_allclose(conditions(["theta_rad"], GEV, THETA, 11)[:, 0], THETA, rtol=1e-6)


def test_an_unknown_condition_is_named() -> None:
    with pytest.raises(UsageError, match="unknown condition colour"):
        conditions(["energy_gev", "colour"], GEV, THETA, 22)


def test_what_the_detector_does_not_say_is_named() -> None:
    with pytest.raises(UsageError, match="cell_rm, which the detector does not say"):
        conditions(["cell_rm"], GEV, THETA, 22, geometry_of(load_detector("pb-lar")))
    with pytest.raises(UsageError, match="no layer stack"):
        geometry_of(load_detector("atlas-barrel"), 0.2)
    with pytest.raises(UsageError, match="no sampling fraction"):
        geometry_of(load_detector("allegro-lar"))
    assert geometry_of(load_detector("allegro-lar"), 0.2).sampling_fraction == 0.2
