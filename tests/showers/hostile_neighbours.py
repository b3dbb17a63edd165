"""Hostile attributes, JSON and XML of good files, and malformed files of the other layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.showers.hostile_files import Make, good, with_dataset
from tests.showers.test_shower_formats import BINNING, calogan, cloud, par04_cells

CASES: dict[str, tuple[Make, str]] = {}


def case(words: str) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        CASES[make.__name__] = (make, words)
        return make

    return keep


def with_attribute(folder: Path, name: str, value: Any) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    return path


# --- attributes


@case("bad geometry attributes")
def text_mesh_shape(folder: Path) -> Path:
    return with_attribute(folder, "mesh_shape", "25x9x9")


@case("bad geometry attributes")
def two_axes(folder: Path) -> Path:
    return with_attribute(folder, "mesh_shape", [225, 9])


@case("bad geometry attributes")
def negative_mesh(folder: Path) -> Path:
    return with_attribute(folder, "mesh_shape", [25, -9, -9])


@case("bad geometry attributes")
def enormous_mesh(folder: Path) -> Path:
    return with_attribute(folder, "mesh_shape", np.array([25, 2**62, 2**62]))


@case("bad geometry attributes")
def nan_cell_size(folder: Path) -> Path:
    return with_attribute(folder, "cell_mm", [np.nan, 10.0])


@case("bad geometry attributes")
def zero_depth(folder: Path) -> Path:
    return with_attribute(folder, "layer_mm", 0.0)


@case("2025 voxels, but its geometry .its attributes. has 1944")
def mesh_of_another_file(folder: Path) -> Path:
    return with_attribute(folder, "mesh_shape", [24, 9, 9])


@case("pdg is 'photon'")
def text_pdg(folder: Path) -> Path:
    return with_attribute(folder, "pdg", "photon")


@case("attribute 'detector' is neither text nor numbers")
def compound_attribute(folder: Path) -> Path:
    return with_attribute(folder, "detector", np.zeros(2, [("a", "i4")]))


@case("attribute 'detector' is neither text nor numbers")
def empty_attribute(folder: Path) -> Path:
    return with_attribute(folder, "detector", h5py.Empty("f4"))


@case("detector '../../etc/passwd' is not in the vocabulary")
def detector_that_is_a_path(folder: Path) -> Path:
    return with_attribute(folder, "detector", "../../etc/passwd")


@case("detector_json: ")
def deep_detector(folder: Path) -> Path:
    return with_attribute(folder, "detector_json", "[" * 60_000)


@case("showers is in 'furlong'")
def unknown_unit(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file["showers"].attrs["unit"] = "furlong"
    return path


# --- the JSON beside the file


def with_sidecar(folder: Path, text: str | bytes) -> Path:
    path = folder / "f.h5"
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = np.full((9, 1), 1e3), np.ones((9, 8))
    content = text.encode() if isinstance(text, str) else text
    path.with_suffix(".json").write_bytes(content)
    return path


def sidecar(**changes: Any) -> str:
    slabs = [{"material": "W", "thickness_mm": 2.0, "layer": -1},
             {"material": "G4_Si", "thickness_mm": 0.5, "layer": 0}]  # fmt: skip
    grid = {"nx": 4, "ny": 2, "cell_x_mm": 5.0, "cell_y_mm": 5.0, "n_layers": 1}
    return json.dumps({"name": "toy", "pdg": 11, "slabs": slabs, "grid": grid, **changes})


def slab(**changes: Any) -> list[dict[str, Any]]:
    return [{"material": "W", "thickness_mm": 2.0, "layer": 0, **changes}]


BAD_SIDECARS: dict[str, tuple[str | bytes, str]] = {
    "deep": ("[" * 100_000, "not a calorimeter"),
    "deep_object": ('{"slabs":' * 100_000, "not a calorimeter"),
    "cut": (sidecar()[:80], "not a calorimeter"),
    "not_utf8": (b'{"slabs": "\xff\xfe"}', "not a calorimeter"),
    "number": ("7", "not a calorimeter"),
    "huge": (" " * 5_000_001, "larger than"),
    "nan_thickness": (sidecar(slabs=slab(thickness_mm=float("nan"))), "it holds NaN"),
    "overflowing_thickness": (sidecar(slabs=slab()).replace("2.0", "1e999"), "thickness_mm is inf"),
    "negative_thickness": (sidecar(slabs=slab(thickness_mm=-2)), "slabs.0.thickness_mm is -2"),
    "text_thickness": (sidecar(slabs=slab(thickness_mm="thick")), "not a calorimeter"),
    "unknown_material": (sidecar(slabs=slab(material="Unobtainium")), "unknown material"),
    "no_slabs": (sidecar(slabs=[]), "none is read out"),
    "slabs_of_another_type": (sidecar(slabs="W, Si"), "not a calorimeter"),
    "no_material": (sidecar(slabs=[{"thickness_mm": 2, "layer": 0}]), "'material'"),
    "grid_of_another_type": (sidecar(grid=[1, 2]), "not a calorimeter"),
    "missing_cell": (sidecar(grid={"nx": 4, "ny": 2}), "'cell_y_mm'"),
    "enormous_grid": (
        sidecar(grid={"nx": 10**12, "ny": 2, "cell_x_mm": 5.0, "cell_y_mm": 5.0, "n_layers": 1}),
        "cells on one axis",
    ),
    "enormous_layers": (
        sidecar(grid={"nx": 4, "ny": 2, "cell_x_mm": 5.0, "cell_y_mm": 5.0, "n_layers": 10**12}),
        "grid.n_layers is 1000000000000",
    ),
    "negative_cells": (
        sidecar(grid={"nx": 4, "ny": 2, "cell_x_mm": -5.0, "cell_y_mm": 5.0, "n_layers": 1}),
        "do not increase",
    ),
    "pdg_of_another_type": (sidecar(pdg=[11]), "pdg is"),
    "fraction_above_one": (sidecar(sampling_fraction=30), "sampling_fraction"),
    "irregular_of_another_type": (sidecar(irregular_segmentation=[3]), "not a calorimeter"),
}  # fmt: skip

for _name, (_text, _words) in BAD_SIDECARS.items():
    CASES[f"sidecar_{_name}"] = (
        lambda folder, text=_text: with_sidecar(folder, text),
        rf"f\.json.*{_words}",
    )


# --- the XML beside the file

ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {b} "{"&" + a + ";"}{("&" + a + ";") * 9}">'
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD_XML = {
    "bomb": (ENTITIES + "]><Bins><Bin pid='&i;'/></Bins>", "declares a document type"),
    "external_entity": (
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Bins>&e;</Bins>',
        "declares a document type",
    ),
    "external_dtd": ('<!DOCTYPE Bins SYSTEM "http://127.0.0.1/x.dtd"><Bins/>', "document type"),
    "huge": (BINNING + " " * 1_000_001, "larger than"),
    "cut": (BINNING[:200], "not a CaloChallenge binning"),
    "unsorted_edges": (BINNING.replace("0,5,10", "0,10,5"), "r_edges of layer 0 do not increase"),
    "nan_edges": (BINNING.replace("0,5,10", "0,nan,5"), "do not increase"),
    "endless_edges": (BINNING.replace("0,5,10", "0,5,inf"), "do not increase"),
    "text_edges": (BINNING.replace("0,5,10", "a,b"), "not a CaloChallenge binning"),
    "enormous_sectors": (BINNING.replace('alpha="10"', 'alpha="1000000000"'), "n_bin_alpha is"),
    "no_sectors": (BINNING.replace('n_bin_alpha="10"', ""), "n_bin_alpha"),
    "no_layers": ("<Bins><Bin pid='22'/></Bins>", "no layer with voxels"),
    "layer_outside": ("<Bins><Layer r_edges='0,1' n_bin_alpha='1'/></Bins>", "outside any Bin"),
    "two_particles": (
        BINNING.replace("</Bins>", BINNING[BINNING.index("<Bin pid") :].replace("22", "11", 1)),
        "which is meant",
    ),
    "deep": ("<Bins>" * 160_000, "not a CaloChallenge binning"),
}


def with_xml(folder: Path, text: str) -> Path:
    path = folder / "f.h5"
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = np.full((9, 1), 1e3), np.ones((9, 32))
    path.with_suffix(".xml").write_text(text)
    return path


for _name, (_text, _words) in BAD_XML.items():
    CASES[f"xml_{_name}"] = (
        lambda folder, text=_text: with_xml(folder, text),
        rf"f\.xml.*{_words}",
    )


# --- the other layouts


@case("flat, .N, voxels|this layout is flat")
def calochallenge_with_axes(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.ones((60, 9, 16, 45), "f4"))


@case("which detector")
def par04_without_detector(folder: Path) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["64"] = par04_cells(3, 64_000.0, (18, 50, 45))
    return folder / "f.h5"


@case("different shapes")
def par04_mixed_shapes(folder: Path) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["64"] = par04_cells(3, 64_000.0, (18, 50, 45))
        file["32"] = par04_cells(3, 32_000.0, (9, 16, 45))
    return folder / "f.h5"


@case("layer_1 has shape .4, 6, 12.*phi, eta")
def calogan_swapped(folder: Path) -> Path:
    path = calogan(folder / "f.h5")
    with h5py.File(path, "r+") as file:
        del file["layer_1"]
        file["layer_1"] = np.ones((4, 6, 12))
    return path


@case("rows of layer_2 for 4 layer_0")
def calogan_mismatched(folder: Path) -> Path:
    path = calogan(folder / "f.h5")
    with h5py.File(path, "r+") as file:
        del file["layer_2"]
        file["layer_2"] = np.ones((3, 12, 6))
    return path


@case("cannot be told apart")
def cloud_of_4_by_4(folder: Path) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["energy"], file["events"] = np.ones((3, 1)), np.ones((3, 4, 4))
    return folder / "f.h5"


@case(r"expected \(N, P, 4\)")
def cloud_without_energies(folder: Path) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["energy"], file["events"] = np.ones((3, 1)), np.ones((3, 100, 3))
    return folder / "f.h5"


@case("which detector")
def cloud_without_detector(folder: Path) -> Path:
    return cloud(folder / "f.h5")


@case("ECAL has shape")
def gan3d_flat(folder: Path) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["ECAL"], file["energy"] = np.ones((3, 125)), np.ones((3, 1))
    return folder / "f.h5"


@case("rows of energy for 3 ECAL")
def gan3d_mismatched(folder: Path) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["ECAL"], file["energy"] = np.ones((3, 5, 5, 5)), np.ones((4, 1))
    return folder / "f.h5"


@case("column 1 is the energy")
def gan3d_without_energy(folder: Path) -> Path:
    with h5py.File(folder / "f.h5", "w") as file:
        file["ECAL"], file["target"] = np.ones((3, 5, 5, 5)), np.ones((3, 1))
    return folder / "f.h5"
