"""Read showers from a file, whatever its format; the format is recognised from the content.

A reader opens a file and says what is in it (`Opened`); rows are then fetched in chunks, so that
`iterate_showers` holds one chunk of a file however large, and `read_showers` only its result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.mesh import Mesh
from catalog.errors import BadFile, UsageError
from catalog.manifest import hash_stream
from catalog.showers.checks import Checks, calibrated
from catalog.showers.hdf5 import damage, names_in, open_hdf5
from catalog.showers.showerset import ShowerSet

_CHUNK_BYTES = 32_000_000
_LEAST_WORK = 2000  # values held per shower however few its cells: what observing it takes
_SAMPLE = 200  # showers that tell how a file is calibrated


Told = Callable[[int, int], None]  # showers done, showers in all


class Rows(NamedTuple):
    """Some showers of a file.

    energies : (n, mesh.voxels) float32, GeV; incident_gev : (n,); theta_rad : (n,)
    """

    energies: NDArray[np.float32]
    incident_gev: NDArray[np.float64]
    theta_rad: NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """What the user says about a file; None where the file itself should tell."""

    path: Path
    detector: Detector | None = None
    pdg: int | None = None
    limit: int | None = None
    binning: Path | None = None

    def need_detector(self, why: str) -> Detector:
        """The detector the user named.

        Raises
        ------
        BadFile
            None was named.
        """
        if self.detector is None:
            raise BadFile(
                f"{self.path}: {why}", "name it: --detector NAME (see them: catalog detectors)"
            )
        return self.detector

    def need_pdg(self, told: int | None = None) -> int:
        """The particle the user named, else the one the file tells."""
        pdg = self.pdg if self.pdg is not None else told
        if pdg is None:
            raise BadFile(
                f"{self.path}: does not say which particle", "name it: --particle e- (or a PDG id)"
            )
        return pdg


@dataclass(frozen=True)
class Opened:
    """What a file holds, before any shower is read.

    rows : number of showers in the file
    fetch : (start, stop) -> those showers, start < stop <= rows
    align : showers per stored chunk; reading multiples of it is fastest
    fraction : visible over incident energy where the format fixes it, else the detector's
    work : values held per shower while it is read, where that is more than its cells
    parametrised : whether the file says that a parametrised simulation made it
    """

    rows: int
    mesh: Mesh
    detector: Detector
    pdg: int
    fetch: Callable[[int, int], Rows]
    align: int = 1
    fraction: float | None = None
    work: int = 0
    parametrised: bool = False


class RootFile(NamedTuple):
    """A file that begins like a ROOT file; opened only by a reader that has ROOT."""

    path: Path


class Reader(Protocol):
    """One file format, found through the entry-point group `catalog.readers`.

    `file` is an open `h5py.File`, or a `RootFile`.
    """

    looks_for: str

    def recognises(self, file: object) -> bool:
        """Whether the file is of this format."""
        ...

    def open(self, file: object, asked: Asked) -> Opened:
        """Say what the file holds; refuse it if it contradicts itself."""
        ...


def read_showers(
    path: Path,
    *,
    detector: Detector | None = None,
    pdg: int | None = None,
    limit: int | None = None,
    binning: Path | None = None,
) -> ShowerSet:
    """Read a shower file into memory.

    Parameters
    ----------
    detector, pdg : needed where the file does not tell them
    limit : read the first `limit` showers only
    binning : CaloChallenge XML of the voxels, where it does not lie beside the file

    Raises
    ------
    BadFile
        Damaged, of an unknown format, with NaN, infinite or negative energies, or too large.
    """
    with _opened(Asked(path, detector, pdg, limit, binning)) as (opened, rows):
        needed = 4 * rows * opened.mesh.voxels
        if needed > _memory() // 2:
            raise BadFile(
                f"{path}: {rows:,} showers of {opened.mesh.voxels:,} cells take "
                f"{needed / 1e9:.3g} GB, more than can be held in memory",
                "read fewer showers (--showers N), or iterate_showers() chunk by chunk",
            )
        parts = _parts(opened, rows, _chunk_rows(opened), path)
        first = next(parts)
        if len(first) == rows:
            return next(parts, first)  # runs the checks that need all showers
        return _joined(first, parts, rows)


def iterate_showers(
    path: Path,
    *,
    detector: Detector | None = None,
    pdg: int | None = None,
    limit: int | None = None,
    binning: Path | None = None,
    chunk: int | None = None,
    told: Told | None = None,
) -> Iterator[ShowerSet]:
    """Read a shower file of any size, `chunk` showers at a time (by default about 32 MB).

    Memory is bounded by a few chunks. Every chunk carries the digest of the whole file. Errors
    are those of `read_showers`, raised when the damaged chunk is reached. `told` hears of every
    chunk, if there are several.
    """
    if chunk is not None and chunk < 1:
        raise UsageError(f"chunk must be at least 1, not {chunk}")
    with _opened(Asked(path, detector, pdg, limit, binning)) as (opened, rows):
        size = chunk or _chunk_rows(opened)
        done = 0
        for part in _parts(opened, rows, size, path):
            done += len(part)
            if told and size < rows:
                told(done, rows)
            yield part


@contextmanager
def _opened(asked: Asked) -> Iterator[tuple[Opened, int]]:
    """The file as its reader sees it, and how many showers were asked for."""
    path = asked.path
    if asked.limit is not None and asked.limit < 1:
        raise UsageError(f"at least one shower must be read, not {asked.limit}")
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise BadFile(f"{path}: {what}", "give the path of one shower file: --data FILE")
    with _container(path) as file:
        opened = _reader_for(file, asked).open(file, asked)
        yield opened, min(opened.rows, asked.limit or opened.rows)


@contextmanager
def _container(path: Path) -> Iterator[object]:
    with path.open("rb") as stream:
        start = stream.read(8)
    if start[:4] == b"root":
        yield RootFile(path)
        return
    with open_hdf5(path) as file:
        yield file


def _parts(opened: Opened, rows: int, size: int, path: Path) -> Iterator[ShowerSet]:
    """Checked showers, `size` at a time."""
    checks = Checks(path, opened.detector, opened.pdg, opened.fraction)
    detector, digest = opened.detector, ""
    for start in range(0, rows, size):
        found = opened.fetch(start, min(start + size, rows))
        checks.add(found.energies, found.incident_gev, found.theta_rad)
        if start == 0:
            detector = _detector(opened, found, rows)
            with path.open("rb") as stream:  # only now: a file that is refused is not hashed
                digest, _ = hash_stream(stream)
        yield ShowerSet(
            *found, opened.mesh, detector, opened.pdg, path.name, digest, opened.parametrised
        )
    checks.finish()


def _detector(opened: Opened, first: Rows, rows: int) -> Detector:
    """The detector, with the sampling fraction that these energies have.

    Always from the same showers, so that the answer depends neither on the chunk nor, beyond the
    first 200, on how many showers were asked for.
    """
    n = min(_SAMPLE, rows)
    sample = first if len(first.incident_gev) >= n else opened.fetch(0, n)
    return calibrated(opened.detector, sample.energies[:n], sample.incident_gev[:n])


def _joined(first: ShowerSet, rest: Iterator[ShowerSet], rows: int) -> ShowerSet:
    """All chunks in one; filled in place, so nothing is held twice."""
    energies = np.empty((rows, first.mesh.voxels), np.float32)
    incident, theta = np.empty(rows), np.empty(rows)
    start = 0
    part: ShowerSet | None = first
    while part is not None:
        here = slice(start, start + len(part))
        energies[here], incident[here], theta[here] = (
            part.energies,
            part.incident_gev,
            part.theta_rad,
        )
        start += len(part)
        part = next(rest, None)
    return replace(first, energies=energies, incident_gev=incident, theta_rad=theta)


def _chunk_rows(opened: Opened) -> int:
    rows = max(1, _CHUNK_BYTES // (4 * max(opened.mesh.voxels, opened.work, _LEAST_WORK)))
    return rows - rows % opened.align if rows > opened.align else rows


def _memory() -> int:
    """Bytes of memory of this machine; 8 GB where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8_000_000_000


def _reader_for(file: object, asked: Asked) -> Reader:
    path, tried = asked.path, []
    with damage(path, "its table of contents"):
        for entry in sorted(entry_points(group="catalog.readers"), key=lambda e: e.name):
            reader: Reader = entry.load()
            if reader.recognises(file):
                if asked.binning and entry.name != "calochallenge":
                    raise UsageError(
                        f"{path} is of the layout {entry.name}, which tells its own cells: a "
                        "binning XML (--binning) describes flat files only",
                        "leave --binning out, or put the XML beside the file it is of: NAME.xml",
                    )
                return reader
            tried.append(f"{entry.name} ({reader.looks_for})")
        names = names_in(file)
    held = ", ".join(name[:40] for name in names[:12]) or "nothing"
    raise BadFile(
        f"{path}: format not recognised; it holds {held}; looked for: {'; '.join(tried)}",
        "convert it to the CaloChallenge layout: incident_energies (N,1), showers (N,voxels), MeV",
    )
