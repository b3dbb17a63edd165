"""HDF5 files of strangers: plain numeric datasets, bounded reads, and one error for all damage.

Nothing in a file is trusted. Every way HDF5 has of pointing at other files (soft and external
links, external and virtual storage) is refused, and so is a chunk that unpacks to more than
`_MAX_CHUNK`: the library unpacks whole chunks, so a small file could fill the memory (a gzip bomb).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from catalog.errors import BadFile
from catalog.text import first_line

_MAX_CHUNK = 128_000_000  # bytes of one unpacked HDF5 chunk
_CACHE = 32_000_000  # bytes; a chunk that two reads share is then unpacked once
_MAX_ROWS = 1_000_000_000
_MAX_NAMES = 4096
_MAX_ATTRIBUTE = 1_000_000  # values or bytes
_GEV = {"gev": 1.0, "mev": 1e-3, "kev": 1e-6, "tev": 1e3}


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises
    ------
    BadFile
        Damaged, cut short, or not HDF5.
    """
    try:
        file = h5py.File(path, "r", rdcc_nbytes=_CACHE, locking="best-effort")
    except (OSError, RuntimeError, ValueError) as exc:
        raise BadFile(
            f"{path}: not a readable HDF5 file ({first_line(exc)})",
            "if it was downloaded, it may be incomplete: download it again",
        ) from exc
    with file:
        yield file


@contextmanager
def damage(path: Path, what: str) -> Iterator[None]:
    """Turn what h5py raises on damaged content into one BadFile that names the field."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as exc:
        raise BadFile(
            f"{path}: {what} cannot be read ({first_line(exc)})",
            "the file is damaged, or needs an HDF5 filter that is not installed: make it again",
        ) from exc
    except MemoryError as exc:
        raise BadFile(
            f"{path}: {what} is too large for this machine's memory", "read fewer: --showers N"
        ) from exc


def has(file: object, *names: str) -> bool:
    """Whether an HDF5 file has entries of these names; links that lead nowhere count."""
    if not isinstance(file, h5py.File):
        return False
    return all(file.id.links.exists(name.encode()) for name in names)


def names_in(file: object) -> list[str]:
    """Names at the top of the file, sorted; of very many only the first."""
    if not isinstance(file, h5py.File):
        return []
    names: list[str] = []
    for name in file:
        names.append(str(name))
        if len(names) == _MAX_NAMES:
            break
    return sorted(names)


@dataclass(frozen=True)
class Table:
    """One plain numeric dataset; the first axis counts showers."""

    dataset: Any
    key: str
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """Declared shape, (N, ...)."""
        return tuple(int(n) for n in self.dataset.shape)

    @property
    def align(self) -> int:
        """Showers per HDF5 chunk: reads of a multiple of it unpack nothing twice."""
        return int(self.dataset.chunks[0]) if self.dataset.chunks else 1

    def gev(self, default: str) -> float:
        """GeV per stored unit: what the dataset says, else `default`."""
        told = self.told_gev()
        return _GEV[default.lower()] if told is None else told

    def told_gev(self) -> float | None:
        """GeV per stored unit from the dataset's attribute `unit` or `units`; None if absent."""
        for name in ("unit", "units"):
            given = attribute(self.dataset, name, self.path)
            if given is not None:
                scale = _GEV.get(str(given).strip().lower())
                if scale is None:
                    raise BadFile(
                        f"{self.path}: {self.key} is in {str(given)[:40]!r}",
                        "set its attribute unit to MeV or GeV",
                    )
                return scale
        return None

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start .. stop as stored: (stop - start, ...)."""
        with damage(self.path, repr(self.key)):
            found: NDArray[Any] = self.dataset[start:stop]
        if len(found) != stop - start:
            raise BadFile(
                f"{self.path}: {self.key!r} ends after {start + len(found)} showers",
                "the file is damaged: make it again",
            )
        return found

    def energies(self, start: int, stop: int, gev: float) -> NDArray[np.float32]:
        """Rows in GeV, float32. Doubles are scaled before they are rounded."""
        block = self.rows(start, stop)
        # What is too large becomes infinite, and is refused like NaN; numpy need not warn as well.
        with np.errstate(over="ignore", invalid="ignore"):
            if block.dtype.kind == "f" and block.dtype.itemsize == 4:
                scaled = block.astype(np.float32, copy=False)
                scaled *= np.float32(gev)
                return scaled
            return (block.astype(np.float64) * gev).astype(np.float32)

    def column(self, start: int, stop: int, index: int = 0) -> NDArray[np.float64]:
        """One number per shower: (stop - start,)."""
        block = self.rows(start, stop).astype(np.float64)
        return np.ascontiguousarray(block.reshape(len(block), -1)[:, index])


def table(file: h5py.File, key: str, path: Path) -> Table:
    """A numeric dataset stored in this very file.

    Raises
    ------
    BadFile
        Missing, a link, external or virtual storage, not numeric, empty, or enormous.
    """
    with damage(path, repr(key)):
        link = file.get(key, getlink=True)
        if link is None:
            raise BadFile(f"{path}: dataset {key!r} is missing", "the file was cut: make it again")
        if not isinstance(link, h5py.HardLink):
            raise BadFile(
                f"{path}: {key!r} is a link; only data in the file itself is read",
                "copy the data in: h5repack, or h5py's Group.copy(expand_external=True)",
            )
        dataset = file[key]
        if not isinstance(dataset, h5py.Dataset):
            raise BadFile(
                f"{path}: {key!r} is a group, not a numeric dataset",
                "move the dataset inside it to the top of the file",
            )
        kind = dataset.dtype
        if kind.kind not in "fiu" or kind.subdtype is not None:
            raise BadFile(
                f"{path}: {key!r} is not a numeric dataset (its type is {str(kind)[:60]})",
                "store plain float32 or float64 numbers",
            )
        if dataset.external or dataset.is_virtual:
            raise BadFile(
                f"{path}: {key!r} is stored in other files, which are not read",
                "h5repack writes a file that holds its own data",
            )
        _check_size(dataset, key, path)
    return Table(dataset, key, path)


def _check_size(dataset: Any, key: str, path: Path) -> None:
    if dataset.shape is None or dataset.ndim < 1 or 0 in dataset.shape:
        raise BadFile(
            f"{path}: {key!r} is empty (shape {dataset.shape})", "the file was never filled"
        )
    unpacked = int(np.prod(dataset.chunks or (1,), dtype=object)) * dataset.dtype.itemsize
    width = int(np.prod(dataset.shape[1:], dtype=object)) * dataset.dtype.itemsize
    if max(unpacked, width) > _MAX_CHUNK or dataset.shape[0] > _MAX_ROWS:
        raise BadFile(
            f"{path}: {key!r} has shape {dataset.shape} in chunks of {unpacked:,} bytes, "
            f"more than can be held in memory (limit {_MAX_CHUNK:,})",
            "store it in smaller chunks: h5repack -l CHUNK=100xVOXELS",
        )


def attribute(owner: Any, name: str, path: Path) -> Any:
    """An attribute as text, a number or a flat list of numbers; None if absent.

    Raises
    ------
    BadFile
        Of another type, or enormous.
    """
    with damage(path, f"attribute {name!r}"):
        if name not in owner.attrs:
            return None
        info = owner.attrs.get_id(name)
        if int(np.prod(info.shape or (1,), dtype=object)) > _MAX_ATTRIBUTE:
            raise BadFile(f"{path}: attribute {name!r} is enormous", "remove it")
        value = owner.attrs[name]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.shape in ((), (1,)):
        value = value.reshape(-1)[0]
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return value.ravel().tolist()
    if isinstance(value, np.number):
        return value.item()
    if isinstance(value, str | int | float):
        return value
    raise BadFile(
        f"{path}: attribute {name!r} is neither text nor numbers",
        "store it as a plain string or plain numbers, or remove it",
    )
