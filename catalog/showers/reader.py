"""Read showers from a file, whatever its format; the format is recognised from the content.

Nothing in a file is trusted: sizes are bounded before anything is allocated, and HDF5's ways of
pointing at other files are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.errors import BadFile
from catalog.manifest import hash_stream
from catalog.showers.showerset import ShowerSet

_MAX_VALUES = 2_000_000_000  # cells of one read: 8 GB
_CHUNK_VALUES = 20_000_000
_MAX_ROWS = 100_000_000


@dataclass(frozen=True)
class Asked:
    """What the user says about a file; None where the file itself should tell."""

    path: Path
    detector: Detector | None = None
    pdg: int | None = None
    limit: int | None = None


class Reader(Protocol):
    """One file format, found through the entry-point group `catalog.readers`."""

    looks_for: str

    def recognises(self, file: h5py.File) -> bool:
        """Whether the file is of this format."""
        ...

    def read(self, file: h5py.File, asked: Asked) -> ShowerSet:
        """Read at most `asked.limit` showers."""
        ...


def read_showers(
    path: Path,
    *,
    detector: Detector | None = None,
    pdg: int | None = None,
    limit: int | None = None,
) -> ShowerSet:
    """Read a shower file.

    Parameters
    ----------
    detector, pdg : needed where the file does not tell them
    limit : read the first `limit` showers only

    Raises
    ------
    BadFile
        Damaged, of an unknown format, with NaN, infinite or negative energies, or too large.
    """
    if not path.is_file():
        raise BadFile(f"{path}: no such file" if not path.exists() else f"{path}: not a file")
    with path.open("rb") as stream:
        digest, _ = hash_stream(stream)
    asked = Asked(path, detector, pdg, limit)
    try:
        with h5py.File(path, "r") as file:
            showers = _reader_for(file, path).read(file, asked)
    except OSError as exc:
        raise BadFile(
            f"{path}: not a readable HDF5 file ({_first_line(exc)})",
            "if it was downloaded, it may be incomplete: download it again",
        ) from exc
    except MemoryError as exc:
        raise BadFile(f"{path}: too large for this machine's memory") from exc
    return _with_digest(_checked(showers, path), path, digest)


def read_rows(file: h5py.File, key: str, limit: int | None, path: Path) -> NDArray[Any]:
    """Read rows of one plain dataset as float, bounded, in chunks.

    Energies become float32 chunk by chunk, so a file of doubles needs no second copy.
    """
    dataset = plain_dataset(file, key, path)
    rows = min(dataset.shape[0], limit) if limit is not None else dataset.shape[0]
    width = int(np.prod(dataset.shape[1:], dtype=np.int64))
    if rows > _MAX_ROWS or rows * width > _MAX_VALUES:
        raise BadFile(
            f"{path}: {key} has {rows:,} x {width:,} values, more than can be held in memory",
            "read fewer showers: --showers N",
        )
    kind = np.float64 if width == 1 else np.float32
    out = np.empty((rows, *dataset.shape[1:]), kind)
    step = max(1, _CHUNK_VALUES // max(width, 1))
    for start in range(0, rows, step):
        out[start : start + step] = dataset[start : min(start + step, rows)]
    return out


def plain_dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    """A numeric dataset stored in this very file.

    Raises
    ------
    BadFile
        Missing, a link to another file, external or virtual storage, or not numeric.
    """
    link = file.get(key, getlink=True)
    if link is None:
        raise BadFile(f"{path}: dataset {key!r} is missing")
    if not isinstance(link, h5py.HardLink):
        raise BadFile(f"{path}: {key!r} is a link; only data in the file itself is read")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
        raise BadFile(f"{path}: {key!r} is not a numeric dataset")
    if dataset.external or dataset.is_virtual:
        raise BadFile(f"{path}: {key!r} is stored in other files, which are not read")
    if dataset.ndim < 1 or dataset.shape[0] == 0:
        raise BadFile(f"{path}: {key!r} is empty")
    return dataset


def _reader_for(file: h5py.File, path: Path) -> Reader:
    tried = []
    for entry in sorted(entry_points(group="catalog.readers"), key=lambda e: e.name):
        reader: Reader = entry.load()
        if reader.recognises(file):
            return reader
        tried.append(f"{entry.name} ({reader.looks_for})")
    keys = ", ".join(f"{key}" for key in list(file)[:12]) or "nothing"
    raise BadFile(
        f"{path}: format not recognised; it holds {keys}; looked for: {'; '.join(tried)}",
        "convert it to the CaloChallenge layout: incident_energies (N,1), showers (N,voxels), MeV",
    )


def _checked(showers: ShowerSet, path: Path) -> ShowerSet:
    """Refuse what no calorimeter can measure."""
    for name, values in (
        ("incident energies", showers.incident_gev),
        ("cell energies", showers.energies),
        ("angles", showers.theta_rad),
    ):
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise BadFile(f"{path}: {name} hold NaN or infinity (first in shower {row})")
    if (showers.incident_gev <= 0).any():
        row = int(np.argwhere(showers.incident_gev <= 0)[0][0])
        raise BadFile(f"{path}: shower {row} has an incident energy of zero or less")
    if (showers.energies < 0).any():
        row = int(np.argwhere(showers.energies < 0)[0][0])
        raise BadFile(
            f"{path}: shower {row} has a negative cell energy",
            "cells must hold deposited energy; subtract no pedestal, or set negative cells to 0",
        )
    ratio = float(np.median(showers.energies.sum(1) / showers.incident_gev))
    if ratio > 3:
        raise BadFile(
            f"{path}: showers deposit {ratio:.3g} times their incident energy",
            "check the units: CaloChallenge files are MeV in both datasets",
        )
    return showers


def _with_digest(showers: ShowerSet, path: Path, digest: str) -> ShowerSet:
    return replace(showers, source=path.name, digest=digest)


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
