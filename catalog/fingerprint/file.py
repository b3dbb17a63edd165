"""`fingerprint.npz`: one fingerprint or two, below 50 kB, believed only after every check.

Numbers are stored as byte planes: a whole number of w bytes as a row in each of w arrays of bytes,
lowest first. The high planes are all zeros, which halves the file.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.errors import BadFile, cannot_write
from catalog.fingerprint.axes import (
    BINS,
    CELLS,
    GROUP_OF_BIN,
    GROUPS,
    LEVELS,
    NAMES,
    PAIRS,
    RECORDED,
)
from catalog.fingerprint.histograms import MAX_SHIFT, Histograms
from catalog.fingerprint.sums import FORMAT, MAX_SHOWERS, Fingerprint, Ints
from catalog.fingerprint.vector import vector_of

FINGERPRINT_FILE = "fingerprint.npz"
MAX_FINGERPRINT = 50_000  # bytes
PARTS = ("data", "samples")
_WIDE = (*BINS, len(NAMES))
_FIELDS: dict[str, tuple[tuple[int, ...], int]] = {  # shape, bytes per number
    "n": (BINS, 4),
    "sums": (_WIDE, 6),
    "squares": (_WIDE, 6),
    "products": ((GROUPS, len(PAIRS[0])), 6),
    "shift": (_WIDE, 1),
    "first": (_WIDE, 2),
    "counts": ((*_WIDE, CELLS), 4),
    "other": ((2,), 6),  # outside, own_scale
}
_HEADER = 1000  # bytes, at most, before the numbers of a member
_HINT = "make it again: catalog fingerprint FILE.h5 -o F.npz"


@dataclass(frozen=True)
class Kept:
    """What a file keeps: of the showers that trained a model, and of what it generates."""

    data: Fingerprint | None = None
    samples: Fingerprint | None = None

    @property
    def best(self) -> Fingerprint:
        """What models are ranked by: what they generate, else what trained them.

        A bad generator of good showers must not rank as they would.
        """
        found = self.samples or self.data
        if found is None:
            raise BadFile("a fingerprint file with nothing in it", _HINT)
        return found

    @property
    def vector(self) -> bytes:
        """The short vector as the index holds it; b"" where no bin has enough showers."""
        found = vector_of(self.best)
        return b"" if found is None else found.tobytes()


def to_bytes(kept: Kept) -> bytes:
    """The bytes of a file; `samples` are left out where both do not fit in 50 kB."""
    arrays = {"format": np.array([FORMAT], np.uint8)}
    for part in PARTS:
        found: Fingerprint | None = getattr(kept, part)
        if found is not None:
            arrays |= {f"{part}_{name}": plane for name, plane in _planes(found).items()}
    sink = io.BytesIO()
    np.savez_compressed(sink, **arrays)  # type: ignore[arg-type]
    data = sink.getvalue()
    if len(data) > MAX_FINGERPRINT and kept.data and kept.samples:
        return to_bytes(Kept(kept.data))
    return data


def write_kept(path: Path, kept: Kept) -> None:
    """Write a file in one step: killed at any moment, the old or the new one is there.

    Raises
    ------
    CatalogError
        The place cannot be written.
    """
    temp = path.parent / f".{path.name}.{os.getpid()}"
    try:
        with temp.open("wb") as file:
            file.write(to_bytes(kept))
            file.flush()
            os.fsync(file.fileno())
        temp.replace(path)
    except OSError as exc:
        raise cannot_write(path, exc) from exc
    finally:
        if temp.is_file():
            temp.unlink()


def read_kept(path: Path) -> Kept:
    """Read a file.

    Raises
    ------
    BadFile
        As `parse_kept`, or it is no plain file of a fingerprint's size.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FINGERPRINT:
            raise BadFile(f"{path}: not a plain file of at most {MAX_FINGERPRINT:,} bytes", _HINT)
        with path.open("rb") as file:
            data = file.read(MAX_FINGERPRINT + 1)
    except OSError as exc:
        raise BadFile(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    return parse_kept(data, str(path))


def check_fingerprint(folder: Path) -> list[str]:
    """What is wrong with the fingerprint in a version folder; nothing if there is none."""
    path = folder / FINGERPRINT_FILE
    if not path.exists():
        return []
    try:
        read_kept(path)
    except BadFile as exc:
        return [f"{exc.message.removeprefix(f'{folder}/')}; {exc.hint}"]
    return []


def parse_kept(data: bytes, where: str) -> Kept:
    """The fingerprints of a file's bytes.

    Raises
    ------
    BadFile
        Not a fingerprint, one of a later format, or one that contradicts itself.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_format(archive, where)
            names = {name.rpartition("_")[0] for name in archive.namelist() if "_" in name}
            parts = {part: _part(archive, part) for part in PARTS if part in names}
            extra = len(archive.namelist()) - 1 - len(parts) * len(_FIELDS)
        if extra or not parts:
            raise ValueError("members that are none of a fingerprint's")
    except BadFile:
        raise
    except Exception as exc:
        raise BadFile(f"{where}: not a fingerprint: {str(exc)[:200]}", _HINT) from exc
    return Kept(**parts)


def _check_format(archive: zipfile.ZipFile, where: str) -> None:
    found = int(_bytes_of(archive, "format", 1)[0])
    if found > FORMAT:
        raise BadFile(
            f"{where}: a fingerprint of format {found}; this catalog reads up to {FORMAT}",
            "pip install --upgrade hep-model-catalog",
        )
    if found < FORMAT:
        raise ValueError(f"format {found}")


def _part(archive: zipfile.ZipFile, part: str) -> Fingerprint:
    found: dict[str, Ints] = {}
    for name, (shape, width) in _FIELDS.items():
        size = int(np.prod(shape))
        planes = _bytes_of(archive, f"{part}_{name}", width * size).reshape(width, size)
        whole = np.zeros((size, 8), np.uint8)
        whole[:, :width] = planes.T
        found[name] = whole.view("<i8").astype(np.int64).reshape(shape)
    _check(found)
    outside, own_scale = (int(value) for value in found["other"])
    cells = Histograms(found["shift"], found["first"], found["counts"])
    return Fingerprint(
        n=found["n"],
        sums=found["sums"],
        squares=found["squares"],
        products=found["products"],
        cells=cells,
        outside=outside,
        own_scale=own_scale,
    )


def _planes(found: Fingerprint) -> Mapping[str, NDArray[np.uint8]]:
    fields: dict[str, Ints] = {
        "n": found.n,
        "sums": found.sums,
        "squares": found.squares,
        "products": found.products,
        **found.cells._asdict(),
        "other": np.array([found.outside, found.own_scale]),
    }
    return {
        name: np.ascontiguousarray(
            fields[name].astype("<i8").reshape(-1, 1).view(np.uint8)[:, :width].T
        )
        for name, (_, width) in _FIELDS.items()
    }


def _bytes_of(archive: zipfile.ZipFile, name: str, size: int) -> NDArray[np.uint8]:
    """The `size` bytes of a member; never more is unpacked than they take."""
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > size + _HEADER:
        raise ValueError(f"{name} takes {info.file_size:,} bytes")
    with archive.open(info) as member:
        raw = io.BytesIO(member.read(size + _HEADER))
    if np.lib.format.read_magic(raw) != (1, 0):
        raise ValueError(f"{name} is of another npy version")
    _, column_major, kind = np.lib.format.read_array_header_1_0(raw)
    rest = raw.read()
    if kind != np.uint8 or column_major or len(rest) != size:
        raise ValueError(f"{name} is not {size:,} bytes")
    return np.frombuffer(rest, np.uint8)


def _check(found: Mapping[str, Ints]) -> None:
    """Refuse numbers that no showers have: whatever is read later divides and takes roots."""
    n, counts = found["n"][..., None], found["counts"]
    h = Histograms(found["shift"], found["first"], counts)
    if not 0 < n.sum() <= MAX_SHOWERS or found["other"][1] > n.sum():
        raise ValueError("impossible numbers of showers")
    if (h.shift > MAX_SHIFT).any() or (h.starts >= LEVELS)[counts > 0].any():
        raise ValueError("histograms beyond their axes")
    if (counts.sum(-1) != n).any() or ((counts[..., 0] > 0) != (n > 0)).any():
        raise ValueError("histograms of other showers")
    if ((n == 0) & (h.shift + h.first > 0)).any():
        raise ValueError("histograms of no showers")
    lowest = (counts * h.starts).sum(-1)
    sums, squares = found["sums"], found["squares"]
    if ((sums < lowest) | (sums > lowest + n * ((1 << h.shift) - 1))).any():
        raise ValueError("sums that their histograms do not have")
    least = sums.astype(float) ** 2 <= squares.astype(float) * n * (1 + 1e-12)
    if not (least & (squares <= (LEVELS - 1) * sums)).all():
        raise ValueError("squares that their sums do not have")
    for group, products in enumerate(found["products"]):
        whole = squares[group == GROUP_OF_BIN, :, :RECORDED].sum((0, 1)).astype(float)
        if (products > np.sqrt(np.outer(whole, whole))[PAIRS] * (1 + 1e-9)).any():
            raise ValueError("products that their squares do not have")
