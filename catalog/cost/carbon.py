"""Energy and CO2 of a run: power x time x PUE x what the region's grid emits.

    kWh = hours * devices * W * PUE          kg = kWh * g/kWh / 1000

Location-based: of the grid that the machines hang on. What the provider bought to match it
(market-based) is shown apart, as the share of hours that it matched, and lowers nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from catalog.cost.devices import Device
from catalog.cost.table import read_table

# Power that the building takes for each watt of the machines. GCP: its own fleet-wide figure; AWS,
# Azure: cloud-carbon-footprint; elsewhere the world's average, so that nobody looks better unknown.
_PUE = {"gcp": 1.1, "aws": 1.135, "azure": 1.185}
_PUE_ELSEWHERE = 1.5
_COLUMNS = ("where", "region", "place", "g_per_kwh", "carbon_free", "year", "source")


@dataclass(frozen=True)
class Grid:
    """A region's grid: g CO2e per kWh, and the share that the provider matched, if it says so."""

    place: str
    g_per_kwh: float
    carbon_free: float | None
    source: str


@cache
def grids() -> dict[tuple[str, str], Grid]:
    """All known grids by (place, region); countries stand under `country`, by their ISO code."""
    file = files("catalog.cost").joinpath("data", "carbon.csv")
    return {
        (line.text("where"), line.text("region")): Grid(
            line.text("place"), line.number("g_per_kwh") or 0.0, line.number("carbon_free"),
            " ".join(filter(None, (line.text("source"), line.cells["year"]))),
        )
        for line in read_table(file.read_text("utf-8"), file.name, _COLUMNS)
    }  # fmt: skip


def grid_of(where: str, region: str) -> Grid | None:
    """The grid of a region; of a computing centre's own, by its country code."""
    return grids().get((where, region)) or grids().get(("country", region.upper()))


def regions_of(where: str) -> list[str]:
    """Regions of a place whose grid is known."""
    return [region for place, region in grids() if place == where]


def pue(where: str) -> float:
    """Power usage effectiveness."""
    return _PUE.get(where, _PUE_ELSEWHERE)


def energy_kwh(device: Device, count: int, seconds: float, where: str) -> float | None:
    """kWh of the devices with their building; None where the power is not published."""
    if device.watts is None:
        return None
    return seconds / 3600 * count * device.watts / 1000 * pue(where)


def co2_kg(device: Device, count: int, seconds: float, where: str, region: str) -> float | None:
    """kg CO2e, location-based; None where power or grid is not known."""
    grid, kwh = grid_of(where, region), energy_kwh(device, count, seconds, where)
    return None if grid is None or kwh is None else kwh * grid.g_per_kwh / 1000
