"""Malformed and hostile shower files, made by the tests. Each entry damages one good file.

A case is (name, make, words): `make(folder)` returns the path to read, `words` is a pattern that
the error must hold, so that it names the field.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.toys import shower_file

Make = Callable[[Path], Path]
CASES: dict[str, tuple[Make, str]] = {}


def case(words: str) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        CASES[make.__name__] = (make, words)
        return make

    return keep


def good(folder: Path) -> Path:
    return shower_file(folder / "f.h5")


def with_dataset(folder: Path, key: str, **how: Any) -> Path:
    """A good file in which one dataset is replaced."""
    path = good(folder)
    with h5py.File(path, "r+") as file:
        del file[key]
        file.create_dataset(key, **how)
    return path


def edited(folder: Path, key: str, where: Any, value: Any) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        file[key][where] = value
    return path


# --- the file itself


@case("not a readable HDF5")
def empty_file(folder: Path) -> Path:
    path = folder / "f.h5"
    path.write_bytes(b"")
    return path


@case("not a readable HDF5")
def text(folder: Path) -> Path:
    path = folder / "f.h5"
    path.write_text("hello, these are my showers\n" * 1000)
    return path


@case("not a readable HDF5")
def truncated(folder: Path) -> Path:
    path = good(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@case("not a readable HDF5")
def only_the_signature(folder: Path) -> Path:
    path = folder / "f.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return path


@case("no such file")
def absent(folder: Path) -> Path:
    return folder / "f.h5"


@case("not a file")
def a_folder(folder: Path) -> Path:
    return folder


@case("not a file")
def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "f.h5")
    return folder / "f.h5"


@case("holds nothing; looked for: 3dgan.*calochallenge.*calogan.*edm4hep.*par04.*pointcloud")
def no_datasets(folder: Path) -> Path:
    h5py.File(folder / "f.h5", "w").close()
    return folder / "f.h5"


@case("cannot be read|no tree")
def root_in_name_only(folder: Path) -> Path:
    path = folder / "f.root"
    path.write_bytes(b"root" + bytes(200))
    return path


@case("'showers' cannot be read")
def damaged_chunk(folder: Path) -> Path:
    cells = np.random.default_rng(0).random((60, 2025)).astype("f4")
    path = with_dataset(folder, "showers", data=cells, chunks=(60, 2025), compression="gzip")
    with h5py.File(path) as file:
        where = file["showers"].id.get_chunk_info(0)
    with path.open("r+b") as stream:
        stream.seek(where.byte_offset + where.size // 2)
        stream.write(os.urandom(64))
    return path


# --- datasets


@case("holds incident_energies; looked for")
def missing_showers(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        del file["showers"]
    return path


@case("'showers' is a group")
def group_for_dataset(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        del file["showers"]
        file.create_group("showers/deeper")
    return path


@case("'showers' is empty")
def no_rows(folder: Path) -> Path:
    return with_dataset(folder, "showers", shape=(0, 2025), dtype="f4")


@case("'showers' is empty")
def zero_dimensions(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.float32(1.0))


@case("'showers' is empty")
def null_dataspace(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=h5py.Empty("f4"))


@case("'showers' is empty")
def zero_width(folder: Path) -> Path:
    return with_dataset(folder, "showers", shape=(60, 0), dtype="f4")


@case("'showers' is not a numeric dataset")
def text_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.full((60, 20), b"1.5"))


@case("'showers' is not a numeric dataset")
def object_cells(folder: Path) -> Path:
    return with_dataset(
        folder, "showers", data=np.full((60, 20), "1.5", object), dtype=h5py.string_dtype()
    )


@case("'showers' is not a numeric dataset")
def ragged_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", shape=(60,), dtype=h5py.vlen_dtype(np.float32))


@case("'showers' is not a numeric dataset")
def compound_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", shape=(60, 20), dtype=[("e", "f4"), ("t", "f4")])


@case("'showers' is not a numeric dataset")
def complex_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.ones((60, 20), complex))


@case("'showers' is not a numeric dataset|cannot be read")
def array_type_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", shape=(60,), dtype=np.dtype(("f4", (2025,))))


@case("'showers' is not a numeric dataset")
def reference_cells(folder: Path) -> Path:
    return with_dataset(folder, "showers", shape=(60, 20), dtype=h5py.ref_dtype)


@case("60 rows of incident_energies for 59 showers")
def mismatched_lengths(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.ones((59, 2025), "f4"))


@case("rows of incident_energies for 2025 showers")
def transposed_axes(folder: Path) -> Path:
    return with_dataset(folder, "showers", data=np.ones((2025, 60), "f4"))


@case("expected one number per shower")
def many_incident_energies(folder: Path) -> Path:
    return with_dataset(folder, "incident_energies", data=np.ones((60, 3)))


@case("'showers' is a link")
def soft_link_to_itself(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        del file["showers"]
        file["showers"] = h5py.SoftLink("/showers")
    return path


@case("'showers' is a link")
def external_link(folder: Path) -> Path:
    path = good(folder)
    with h5py.File(path, "r+") as file:
        del file["showers"]
        file["showers"] = h5py.ExternalLink("/etc/passwd", "/showers")
    return path


@case("'showers' is stored in other files")
def external_storage(folder: Path) -> Path:
    return with_dataset(
        folder, "showers", shape=(60, 2025), dtype="u1", external=[("/etc/passwd", 0, 200_000)]
    )


@case("'showers' is stored in other files")
def virtual_dataset(folder: Path) -> Path:
    path = good(folder)
    layout = h5py.VirtualLayout((60, 2025), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "showers", (60, 2025))
    with h5py.File(path, "r+") as file:
        del file["showers"]
        file.create_virtual_dataset("showers", layout)
    return path


@case("more than can be held in memory")
def huge_declared_size(folder: Path) -> Path:
    path = folder / "f.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("incident_energies", (10**8, 1), "f4", chunks=(1000, 1), fillvalue=1)
        file.create_dataset("showers", (10**8, 6480), "f4", chunks=(1, 6480))
    return path


@case("more than can be held in memory")
def huge_chunk(folder: Path) -> Path:
    return with_dataset(
        folder, "showers", shape=(60, 2025), maxshape=(None, 2025), dtype="f4",
        chunks=(500_000, 2025), compression="gzip",
    )  # fmt: skip


@case("none of its first .* deposits any energy")
def gzip_bomb(folder: Path) -> Path:
    path = folder / "f.h5"  # 1.3 GB of zeros, most of them in a few kB
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.full((50_000, 1), 1000.0)
        cells = file.create_dataset(
            "showers", (50_000, 6480), "f4", chunks=(2000, 6480), compression="gzip"
        )
        for start in (0, 2000):
            cells[start : start + 2000] = 0
    return path


@case("none of its first 60 showers deposits any energy")
def all_zero(folder: Path) -> Path:
    return edited(folder, "showers", ..., 0)
