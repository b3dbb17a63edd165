"""Files of the right layout whose numbers no calorimeter can measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from tests.showers.hostile_files import Make, edited, good, with_dataset

CASES: dict[str, tuple[Make, str]] = {}


def case(words: str) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        CASES[make.__name__] = (make, words)
        return make

    return keep


@case("cell energies hold NaN or infinity .first in shower 3")
def nan_cell(folder: Path) -> Path:
    return edited(folder, "showers", (3, 7), np.nan)


@case("cell energies hold NaN or infinity")
def infinite_cell(folder: Path) -> Path:
    return edited(folder, "showers", (3, 7), np.inf)


@case("cell energies hold NaN or infinity")
def doubles_beyond_float32(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.full((60, 2025), 1e300))


@case("shower 3 has a negative cell energy")
def negative_cell(folder: Path) -> Path:
    return edited(folder, "showers", (3, 7), -0.5)


@case("incident energies hold NaN")
def nan_incident(folder: Path) -> Path:
    return edited(folder, "incident_energies", (9, 0), np.nan)


@case("shower 9 has an incident energy of zero or less")
def zero_incident(folder: Path) -> Path:
    return edited(folder, "incident_energies", (9, 0), 0)


@case("angles reach 90, beyond pi")
def degrees(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["incident_theta"] = np.full((60, 1), 90.0)
    return path


@case("angles reach 5, beyond pi")
def a_few_degrees(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["incident_theta"] = np.full((60, 1), 5.0)
    return path


@case("angles hold NaN")
def nan_angle(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["incident_theta"] = np.full((60, 1), np.nan)
    return path


@case("59 rows of incident_theta for 60 showers")
def an_angle_is_missing(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["incident_theta"] = np.zeros((59, 1))
    return path


@case("'incident_theta' is a link")
def angles_behind_a_dangling_link(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["incident_theta"] = h5py.SoftLink("/nowhere")
    return path


@case("'incident_energies' is a link")
def incident_energies_of_another_file(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        del file["incident_energies"]
        file["incident_energies"] = h5py.ExternalLink("/etc/passwd", "/x")
    return path


@case("shower 3 has an incident energy of zero or less")
def negative_incident(folder: Path) -> Path:
    return edited(folder, "incident_energies", (3, 0), -5000)


@case("shower 0 has an incident energy of 1e.297 GeV")
def incident_energy_of_no_particle(folder: Path) -> Path:
    return with_dataset(folder, "incident_energies", data=np.full((60, 1), 1e300))


@case("cell energies hold NaN or infinity|negative cell energy|times their incident energy")
def bytes_swapped(folder: Path) -> Path:
    """Big-endian numbers that were declared little-endian."""
    with h5py.File(good(folder)) as file:
        cells = file["showers"][:]
    return with_dataset(folder, "showers", data=cells.byteswap())


@case("deposit .*e.08 times their incident energy")
def whole_numbers_at_their_limit(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.full((60, 2025), 2**31 - 1, "i4"))


@case("shower 0 has a negative cell energy")
def whole_numbers_that_wrapped_around(folder: Path) -> Path:
    cells = np.arange(60 * 2025).reshape(60, 2025)
    return with_dataset(folder, "showers", data=cells.astype("i1"))


@case("showers deposit .* times their incident energy")
def cells_that_underflowed(folder: Path) -> Path:
    return edited(folder, "showers", ..., 1e-42)


@case("'showers' is not a numeric dataset")
def true_or_false_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.ones((60, 2025), bool))


@case("'showers' is not a numeric dataset")
def opaque_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.zeros((60, 20), "V8"))


@case("its detector 'x{80}' is not in the vocabulary")
def a_name_of_60_kb(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["detector"] = "x" * 60_000
    return path


@case("not a readable HDF5")
def a_pickle(folder: Path) -> Path:
    path = folder / "f.h5"
    path.write_bytes(b"\x80\x04\x95" + bytes(50) + b"cposix\nsystem\n.")
    return path


@case("GeV where MeV was taken")
def incident_in_gev(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["incident_energies"][...] /= 1000
    return path


@case("cells seem to be GeV where MeV was taken")
def cells_in_gev(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["showers"][...] /= 1000
    return path
