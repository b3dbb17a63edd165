"""EDM4hep ROOT files (DD4hep simulations): SimCalorimeterHit and MCParticles in the tree `events`.

Hits: energy in GeV, position in mm (edm4hep.yaml). The hits are placed along the first primary
particle (generatorStatus 1): depth is the distance along its momentum. The first hit of the first
showers marks the middle of the first active slab of the detector, which must be named. So only
particles near normal incidence are placed well; the encoded cell ids, whose meaning lies in the
geometry and not in the file, are not used.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.errors import BadFile, MissingExtra
from catalog.showers.points import Points, into_cells, window
from catalog.showers.reader import Asked, Opened, RootFile, Rows
from catalog.text import first_line

_SAMPLE = 100  # showers that tell where the detector begins
_MAX_EVENT = 128_000_000  # bytes of one event's hits
_NOT_HERE = "is it an EDM4hep file with a TTree? those with an RNTuple are not read"


class Edm4hepReader:
    """Reads SimCalorimeterHit collections through uproot (the extra `root`)."""

    looks_for = "a ROOT tree events with a SimCalorimeterHit collection and MCParticles"

    def recognises(self, file: object) -> bool:
        """Any ROOT file: no other reader wants one."""
        return isinstance(file, RootFile)

    def open(self, file: Any, asked: Asked) -> Opened:
        """Find the collection and the place of the detector."""
        tree = _Tree(_uproot(), asked.path)
        detector = asked.need_detector("an EDM4hep file holds hits, not the detector's stack")
        try:
            mesh = window(detector)
        except ValueError as exc:
            raise BadFile(f"{asked.path}: hits need cells: {exc}", "complete its YAML") from exc
        hits = _collection(tree, detector)
        front, pdg = _front(tree, hits, detector)

        def fetch(start: int, stop: int) -> Rows:
            points, energy, _ = _along(tree, hits, start, stop)
            cells, _ = into_cells(points._replace(z=points.z - front), mesh)
            return Rows(cells, energy, np.zeros(stop - start))

        work = 8 * tree.bytes_per_event(hits) // 4 + 2 * mesh.voxels
        return Opened(tree.rows, mesh, detector, asked.need_pdg(pdg), fetch, work=work)


READER = Edm4hepReader()


def _uproot() -> ModuleType:
    try:
        import uproot
    except ImportError as exc:
        raise MissingExtra("root", "reading EDM4hep ROOT files") from exc
    module: ModuleType = uproot
    return module


class _Tree:
    """The tree `events`; opened for each chunk, so that nothing stays open between them."""

    def __init__(self, uproot: ModuleType, path: Path) -> None:
        self._uproot, self.path = uproot, path
        self.rows, self._sizes = self._look()

    @property
    def branches(self) -> set[str]:
        """Full names of the branches, `Collection.field`."""
        return set(self._sizes)

    def bytes_per_event(self, collection: str) -> int:
        """Unpacked bytes of a collection, mean over events."""
        mine = (size for name, size in self._sizes.items() if name.startswith(collection + "."))
        return sum(mine) // max(1, self.rows)

    def read(self, branch: str, start: int, stop: int) -> list[NDArray[np.float64]]:
        """One array per event."""
        try:
            with self._uproot.open(self.path) as file:
                found = _named(file["events"], branch).array(
                    entry_start=start, entry_stop=stop, library="np"
                )
                return [np.atleast_1d(np.asarray(v, np.float64)) for v in found]
        except Exception as exc:
            raise _damaged(self.path, branch, exc) from exc

    def _look(self) -> tuple[int, dict[str, int]]:
        try:
            with self._uproot.open(self.path) as file:
                if "events" not in file:
                    raise BadFile(f"{self.path}: it has no tree 'events'", _NOT_HERE)
                tree = file["events"]
                if tree.classname != "TTree":
                    raise BadFile(f"{self.path}: events is a {tree.classname}", _NOT_HERE)
                rows = int(tree.num_entries)
                sizes = {
                    podio_name(name): int(branch.uncompressed_bytes)
                    for name, branch in tree.iteritems(recursive=True)
                }
        except BadFile:
            raise
        except Exception as exc:
            raise _damaged(self.path, "the tree 'events'", exc) from exc
        if rows < 1:
            raise BadFile(f"{self.path}: its tree 'events' is empty", "simulate again")
        if max(sizes.values(), default=0) // rows > _MAX_EVENT:
            raise BadFile(f"{self.path}: events larger than {_MAX_EVENT:,} bytes", "split it")
        return rows, sizes


def podio_name(path: str) -> str:
    """`Collection.member` of a branch, wherever it is nested.

    Depending on how deep ROOT split them, members lie flat (`Hits.energy`), below their collection
    (`Hits/Hits.position.x`), or below each other with their own names only
    (`Hits/position/position.x`, `Hits/energy`).
    """
    collection, *nested = path.split("/")
    if not nested or nested[-1].startswith(collection + "."):
        return nested[-1] if nested else collection
    return f"{collection}.{nested[-1]}"


def _named(tree: Any, branch: str) -> Any:
    return next(b for n, b in tree.iteritems(recursive=True) if podio_name(n) == branch)


def _damaged(path: Path, what: str, exc: Exception) -> BadFile:
    # uproot raises many kinds on damaged content (KeyError, struct.error, its own, ...).
    why = first_line(exc)
    return BadFile(f"{path}: {what} cannot be read ({why})", "the file may be incomplete")


def _collection(tree: _Tree, detector: Detector) -> str:
    """The hits: the collection named for the detector's dd4hep name, else the only one."""
    fields = ("energy", "position.x", "position.y", "position.z")
    heads = {name.split(".", 1)[0] for name in tree.branches}
    hits = sorted(h for h in heads if all(f"{h}.{field}" in tree.branches for field in fields))
    # Clusters and digitised hits have these fields too; only simulated hits have contributions.
    hits = [h for h in hits if f"{h}.contributions_begin" in tree.branches] or hits
    if not hits:
        raise BadFile(f"{tree.path}: it has no SimCalorimeterHit collection", _NOT_HERE)
    mine = [h for h in hits if detector.dd4hep and h.startswith(detector.dd4hep)]
    if len(mine or hits) != 1:
        raise BadFile(
            f"{tree.path}: which of its collections is meant: {', '.join(mine or hits)[:200]}?",
            f"set dd4hep in the YAML of {detector.name} to the beginning of one of these names",
        )
    return (mine or hits)[0]


def _along(
    tree: _Tree, hits: str, start: int, stop: int
) -> tuple[Points, NDArray[np.float64], int]:
    """Hits in the frame of the primary particle, its energy in GeV, and its PDG id."""
    vertex, momentum, mass, pdg = _primaries(tree, start, stop)
    p = np.linalg.norm(momentum, axis=1)
    if not (p > 0).all():
        raise BadFile(f"{tree.path}: a primary particle is at rest", "shoot it at the detector")
    axis = momentum / p[:, None]
    columns = [tree.read(f"{hits}.{f}", start, stop)
               for f in ("energy", "position.x", "position.y", "position.z")]  # fmt: skip
    lengths = [len(event) for event in columns[0]]
    if any([len(event) for event in column] != lengths for column in columns):
        raise BadFile(f"{tree.path}: the fields of {hits} differ in length", "it is damaged")
    energy, *place = (_padded(column, lengths) for column in columns)
    if not np.isfinite([energy.sum(), *(v.sum() for v in place)]).all() or energy.min() < 0:
        raise BadFile(f"{tree.path}: {hits} has NaN, infinite or negative values", "leave it out")
    offset = np.stack(place, axis=-1) - vertex[:, None, :]
    u, v = _across(axis)
    x, y, z = (np.einsum("npk,nk->np", offset, direction) for direction in (u, v, axis))
    return Points(x, y, z, energy), np.hypot(p, mass), pdg


def _primaries(tree: _Tree, start: int, stop: int) -> tuple[Any, Any, Any, int]:
    """(n,3) vertex in mm, (n,3) momentum in GeV, (n,) mass, and the particle of all of them."""
    name = next((n for n in ("MCParticles", "MCParticle") if f"{n}.PDG" in tree.branches), None)
    if name is None:
        raise BadFile(f"{tree.path}: it has no MCParticles", _NOT_HERE)
    status = tree.read(f"{name}.generatorStatus", start, stop)
    first = [int(np.argmax(event == 1)) if (event == 1).any() else -1 for event in status]
    if -1 in first:
        row = start + first.index(-1)
        raise BadFile(f"{tree.path}: event {row} has no primary particle", "generatorStatus 1")

    def pick(field: str) -> NDArray[np.float64]:
        events = tree.read(f"{name}.{field}", start, stop)
        if any(i >= len(event) for i, event in zip(first, events, strict=True)):
            raise BadFile(f"{tree.path}: {name}.{field} is too short", "it is damaged")
        return np.array([event[i] for i, event in zip(first, events, strict=True)])

    ids = pick("PDG")
    if (ids != ids[0]).any():
        raise BadFile(f"{tree.path}: its primary particles differ", "one file holds one particle")
    vertex = np.stack([pick(f"vertex.{axis}") for axis in "xyz"], axis=1)
    momentum = np.stack([pick(f"momentum.{axis}") for axis in "xyz"], axis=1)
    return vertex, momentum, pick("mass"), int(ids[0])


def _front(tree: _Tree, hits: str, detector: Detector) -> tuple[float, int]:
    """Distance from the vertex to the front face, mm, and the particle."""
    points, _, pdg = _along(tree, hits, 0, min(tree.rows, _SAMPLE))
    used = points.energy > 0
    if not used.any():
        raise BadFile(f"{tree.path}: {hits} has no hits", "is it the right collection?")
    depth = 0.0
    for slab in (slab for part in detector.stack for slab in part.slabs):
        if slab.active:
            depth += slab.mm / 2
            break
        depth += slab.mm
    return float(points.z[used].min()) - depth, pdg


def _padded(events: list[NDArray[np.float64]], lengths: list[int]) -> NDArray[np.float64]:
    """(n, longest) with zeros behind."""
    out = np.zeros((len(events), max(1, *lengths)))
    for row, event in zip(out, events, strict=True):
        row[: len(event)] = event
    return out


def _across(axis: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two directions across each axis: (n,3), (n,3)."""
    away = np.where(np.abs(axis[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    u = np.cross(away, axis)
    u /= np.linalg.norm(u, axis=1)[:, None]
    return u, np.cross(axis, u)
