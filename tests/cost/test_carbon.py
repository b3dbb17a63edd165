"""CO2 against the figures that were worked out by hand from the same sources."""

from __future__ import annotations

import pytest

from catalog.cost.carbon import co2_kg, energy_kwh, grid_of
from catalog.cost.devices import known_devices, load_device
from catalog.errors import NotFound

EPOCHS_V100 = 120 * (33.22 + 1.59)
EPOCHS_TPU = 120 * (416.3 + 8.4)


@pytest.mark.parametrize(
    ("device", "count", "seconds", "kwh", "kg"),
    [
        ("V100", 128, EPOCHS_V100, 49, (9.5, 1.0, 21)),
        ("TPU-v3", 8, EPOCHS_TPU, 17.6, (3.4, 0.37, 7.6)),
    ],
)
def test_120_epochs_in_three_regions(
    device: str, count: int, seconds: float, kwh: float, kg: tuple[float, ...]
) -> None:
    known = known_devices()[device]
    assert energy_kwh(known, count, seconds, "gcp") == pytest.approx(kwh, rel=0.01)
    found = [
        co2_kg(known, count, seconds, "gcp", region)
        for region in ("europe-west4", "europe-west6", "us-central1")
    ]
    assert found == pytest.approx(list(kg), rel=0.05)


def test_what_is_not_known_is_none_and_never_zero() -> None:
    assert co2_kg(known_devices()["V100"], 1, 3600, "gcp", "atlantis") is None
    assert co2_kg(known_devices()["TPU-v6e"], 1, 3600, "gcp", "europe-west4") is None


def test_a_computing_centre_stands_on_the_grid_of_its_country() -> None:
    grid = grid_of("cern", "che")
    assert grid is not None
    assert (grid.g_per_kwh, grid.carbon_free) == (34.8, None)


def test_an_unknown_device_is_answered_with_the_nearest_name() -> None:
    assert load_device("v100").name == "V100"
    with pytest.raises(NotFound, match="no device 'H1000'") as told:
        load_device("H1000")
    assert "did you mean H100" in told.value.hint
