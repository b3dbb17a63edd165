"""Write a ShowerSet as a CaloChallenge file or as a point cloud. What is written reads back equal.

Energies in a CaloChallenge file are MeV. Not every float32 in GeV has a float32 in MeV that comes
back to it, so cells are stored as float32 where all of them do (always, if they were read from such
a file) and as float64 elsewhere. Incident energies are float64 and come back to the last bit or
its neighbour (2e-16).

A file appears under its name complete or not at all: it is written to a unique name beside the
target, flushed to disk and renamed.

HDF5 must not meet a full disk: it then keeps a file that it can neither finish nor close, and
crashes the process later (measured with HDF5 2.0). So it writes to `_Sink`, which always agrees,
remembers the error, and lets the writer stop.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
from numpy.typing import NDArray

from catalog.domain import detector_names, load_detector
from catalog.errors import CatalogError
from catalog.showers.geometry import encode_mesh
from catalog.showers.points import centres
from catalog.showers.showerset import ShowerSet

_GZIP = 4  # without the shuffle filter, which makes sparse showers a third larger (measured)
_CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 8_000_000
_MAX_ATTRIBUTE = 60_000  # bytes; HDF5 holds 64 kB of attributes in an object header


def write_calochallenge(showers: ShowerSet, path: Path) -> Path:
    """Write `incident_energies` (N,1), `incident_theta` (N,1), `showers` (N,voxels) in MeV and rad.

    Attributes tell mesh, detector, particle and provenance (see `geometry`).

    Raises
    ------
    CatalogError
        The disk is full or the folder cannot be written; nothing is left behind.
    """
    kind = _cell_type(showers)
    with appearing(path) as (file, sink):
        _describe(file, showers, "CaloChallenge")
        _column(file, "incident_energies", _to_mev(showers.incident_gev), "MeV")
        _column(file, "incident_theta", showers.theta_rad, "rad")
        shape = (len(showers), showers.mesh.voxels)
        cells = _table(file, "showers", shape, kind, "MeV")
        for rows in _blocks(shape, cells.chunks[0]):
            cells[rows] = _cells_mev(showers.energies[rows], kind)
            sink.check()
    return path


def write_points(showers: ShowerSet, path: Path) -> Path:
    """Write `energy` (N,1) and `events` (N,P,4) = x, y, depth (mm from axis and front), e (GeV).

    One point per cell with energy, at its centre; padded behind with zeros. The angle of incidence
    has no place in this layout.

    Raises
    ------
    CatalogError
        As `write_calochallenge`.
    """
    places = centres(showers.mesh).astype(np.float32)
    longest = max(5, *(int(n) for n in np.count_nonzero(showers.energies, axis=1)))
    with appearing(path) as (file, sink):
        _describe(file, showers, "points")
        file.attrs["orientation"] = "hdf5:xyz==local:xyz"
        file.attrs["depth_unit"] = "mm"
        _column(file, "energy", showers.incident_gev, "GeV")
        shape = (len(showers), longest, 4)
        events = _table(file, "events", shape, np.dtype(np.float32), "GeV")
        for rows in _blocks(shape, events.chunks[0]):
            events[rows] = _cloud(showers.energies[rows], places, longest)
            sink.check()
    return path


def _cloud(
    energies: NDArray[np.float32], places: NDArray[np.float32], longest: int
) -> NDArray[np.float32]:
    """(n, longest, 4) of the cells that hold energy, in voxel order."""
    out = np.zeros((len(energies), longest, 4), np.float32)
    shower, cell = np.nonzero(energies)
    counts = np.bincount(shower, minlength=len(energies))
    point = np.arange(len(shower)) - np.repeat(np.cumsum(counts) - counts, counts)
    out[shower, point, :3] = places[cell]
    out[shower, point, 3] = energies[shower, cell]
    return out


def _to_mev(gev: NDArray[np.float64]) -> NDArray[np.float64]:
    """MeV that the reader turns into `gev`: of three neighbours the one that fits."""
    start = found = gev * 1e3
    for candidate in (np.nextafter(start, np.inf), np.nextafter(start, 0), start):
        found = np.where(found * 1e-3 == gev, found, candidate)
    return found


def _to_mev32(gev: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same for cells, whose reader multiplies in float32."""
    scale, infinity, zero = np.float32(1e-3), np.float32(np.inf), np.float32(0)
    with np.errstate(over="ignore", invalid="ignore"):
        start = found = gev * np.float32(1e3)
        for candidate in (np.nextafter(start, infinity), np.nextafter(start, zero), start):
            found = np.where(found * scale == gev, found, candidate)
    return found


def _cell_type(showers: ShowerSet) -> np.dtype[Any]:
    for rows in _blocks(showers.energies.shape, 1):
        block = showers.energies[rows]
        block = block[block != 0]  # nearly all cells are empty
        if not (_to_mev32(block) * np.float32(1e-3) == block).all():
            return np.dtype(np.float64)
    return np.dtype(np.float32)


def _cells_mev(gev: NDArray[np.float32], kind: np.dtype[Any]) -> NDArray[Any]:
    if kind != np.float32:
        return gev.astype(np.float64) * 1e3
    mev, used = np.zeros_like(gev), gev != 0
    mev[used] = _to_mev32(gev[used])
    return mev


def _describe(file: h5py.File, showers: ShowerSet, layout: str) -> None:
    """Attributes of geometry (read back) and provenance (for people)."""
    detector, mesh = showers.detector, showers.mesh
    told: dict[str, Any] = {
        "format": layout,
        "mesh": encode_mesh(mesh),
        "detector": detector.name,
        "pdg": showers.pdg,
        "source": showers.source,
        "source_digest": showers.digest,
        "written_by": f"hep-model-catalog {version('hep-model-catalog')}",
    }
    if showers.parametrised:
        told["provenance"] = f"parametrised simulation, not full simulation: {showers.source}"
    if detector.name not in detector_names() or load_detector(detector.name) != detector:
        told["detector_json"] = detector.model_dump_json(exclude_none=True, exclude_defaults=True)
    for name, value in told.items():
        if isinstance(value, str) and len(value.encode()) > _MAX_ATTRIBUTE:
            raise CatalogError(
                f"{name} takes {len(value):,} characters, too many for a file's attribute",
                "rebin the showers on a simpler mesh, or shorten the detector's stack",
            )
        file.attrs[name] = value


def _column(file: h5py.File, key: str, values: NDArray[np.float64], unit: str) -> None:
    file[key] = np.asarray(values, np.float64).reshape(-1, 1)
    file[key].attrs["unit"] = unit


def _table(
    file: h5py.File, key: str, shape: tuple[int, ...], kind: np.dtype[Any], unit: str
) -> Any:
    row = int(np.prod(shape[1:])) * kind.itemsize
    rows = min(shape[0], max(1, _CHUNK_BYTES // row))
    dataset = file.create_dataset(
        key, shape, kind, chunks=(rows, *shape[1:]), compression="gzip", compression_opts=_GZIP
    )
    dataset.attrs["unit"] = unit
    return dataset


def _blocks(shape: tuple[int, ...], align: int) -> Iterator[slice]:
    """Rows in blocks of bounded size, whole chunks each."""
    rows = max(1, _BLOCK_BYTES // (8 * int(np.prod(shape[1:]))))
    step = max(align, rows - rows % align)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


class _Sink:
    """A binary file for HDF5's file-object driver that accepts everything; see the module."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("x+b", buffering=0)
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """All of it, or remember why not."""
        view = memoryview(data).cast("B")
        try:
            done = 0
            while done < len(view) and self._error is None:
                done += self._raw.write(view[done:])
        except OSError as exc:
            self._error = exc
        return len(view)

    def readinto(self, data: Any) -> int:
        """What was written; zeros where that failed."""
        view = memoryview(data).cast("B")
        found = self._raw.readinto(view)
        view[found:] = bytes(len(view) - found)
        return len(view)

    def read(self, size: int = -1) -> bytes:
        """For the driver's own checks of the interface."""
        return self._raw.read(size) or b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """As of any file."""
        return self._raw.tell()

    def truncate(self, size: int | None = None) -> int:
        """As of any file."""
        try:
            return self._raw.truncate(size)
        except OSError as exc:
            self._error = self._error or exc
            return size or 0

    def flush(self) -> None:
        """Nothing is buffered here."""

    def sync(self) -> None:
        """Bring it to the disk, where some file systems first notice that it is full."""
        self.check()
        os.fsync(self._raw.fileno())

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


@contextmanager
def appearing(path: Path) -> Iterator[tuple[h5py.File, _Sink]]:
    """An HDF5 file that takes its name when it is complete; on any error nothing is left."""
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with closing(_Sink(part)) as sink:
            with h5py.File(sink, "w") as file:
                yield file, sink
            sink.sync()
        part.replace(path)
    except OSError as exc:
        raise CatalogError(
            f"cannot write {path}: {exc.strerror or exc}",
            "check free space and permissions; nothing was left behind",
        ) from exc
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            part.unlink()
