"""Kill publishers again and again, and look each time at what a reader sees."""

from __future__ import annotations

import random
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog.errors import BadFile, DigestMismatch
from catalog.manifest import MANIFEST_FILE, hash_bytes
from catalog.pull import materialise, read_manifest
from catalog.stores import Committed, Store
from catalog.verify import verify_version
from tests.adapters.crash_points import POINTS
from tests.adapters.publisher import Publisher, open_at, running_publisher

KINDS = tuple(POINTS)
_MODEL = 10  # kills of one model, then comes the next one
_OTHER = 1_000_000  # numbers of versions that somebody else publishes in between


@dataclass(frozen=True)
class Place:
    """A store that outlives its publishers: how to publish to it and how to read it.

    `files` is the folder on this machine in which its bytes lie.
    """

    kind: str
    publisher: Publisher
    open: Callable[[], Store]
    files: Path


@contextmanager
def running_place(kind: str, folder: Path) -> Iterator[Place]:
    """An empty embedded registry, a real MLflow server, or the double of OCI, in `folder`."""
    with ExitStack() as stack:
        home = folder / "home"
        if kind == "mlflow":
            uri, files = "mlflow", home / "mlflow" / "artifacts"
        elif kind == "mlflow-server":
            from tests.adapters.mlflow_server import running_server

            uri, files = f"mlflow+{stack.enter_context(running_server(folder))}", folder
        else:
            from tests.adapters.oci_double.place import configured_double, uri_of

            double = stack.enter_context(configured_double(folder))
            uri, files = uri_of(double), double.folder / "artifacts"
        publisher = stack.enter_context(running_publisher(kind, uri, home))
        yield Place(kind, publisher, lambda: open_at(uri, home), files)


@dataclass
class Acknowledged:
    """What publishers were told is published, by digest, of one model; what was read and sound."""

    name: str
    versions: dict[str, int] = field(default_factory=dict)
    sound: set[Committed] = field(default_factory=set)

    def add(self, answer: dict[str, Any], row: dict[str, Any]) -> bool:
        """Remember an answer; whether it was acknowledged, with the number it had before if any.

        Why not is appended to the row's `failed`.
        """
        if "digest" not in answer:
            row["failed"].append(answer["failed"])
            return False
        number = self.versions.setdefault(answer["digest"], answer["version"])
        if number != answer["version"]:
            row["failed"].append(f"{answer} was given {number} before")
        return bool(number == answer["version"])


def look(store: Store, known: Acknowledged, *, again: bool = False) -> dict[str, Any]:
    """What a reader finds: torn and lost versions, and whether numbers are dense.

    Every file of versions not seen before is read; with `again` also of those that were sound.
    """
    found = list(store.versions(known.name))
    unread = [version for version in found if again or version not in known.sound]
    sound = {it for it in unread if verify_version(store, it, lambda *_: None).sound}
    known.sound |= sound
    expected = {Committed(known.name, number, digest) for digest, number in known.versions.items()}
    return {
        "visible": len(found),
        "torn": len(unread) - len(sound),
        "lost": len(expected - set(found)),
        "dense": [version.version for version in found] == list(range(1, len(found) + 1)),
    }


def kills(place: Place, count: int, seed: str, first: int = 0) -> Iterator[dict[str, Any]]:
    """Kill publishers until `count` are dead, of which `first` died in an earlier run.

    Half of them at a named point, each point in turn; half at a moment of a whole publish. Some
    are killed twice, and sometimes somebody else publishes before one comes back.
    """
    known, reader, seconds = Acknowledged(""), place.open(), 1.0
    for number in range(first, count):
        choose = random.Random(f"{seed} {place.kind} {number}")
        if not known.name or number % _MODEL == 0:
            known, reader = Acknowledged(f"{place.kind}-{number}"), place.open()
        row: dict[str, Any] = {"kill": number, "torn": 0, "lost": 0, "dense": True, "failed": []}
        points = POINTS[place.kind]
        how = choose.uniform(0, seconds) if number % 2 else points[number // 2 % len(points)]
        version = _killed(place, known, number, how, row)
        _note(row, look(reader, known))
        if choose.random() < 0.1:
            place.publisher.publish(known.name, version, choose.uniform(0, seconds))
            _note(row, look(reader, known))
        if choose.random() < 0.3:
            known.add(place.publisher.publish(known.name, _OTHER + number), row)
        again = place.publisher.publish(known.name, version)
        row |= {"how": how, "again": known.add(again, row)}
        _note(
            row,
            look(
                reader, known, again=number in (count - 1, number // _MODEL * _MODEL + _MODEL - 1)
            ),
        )
        seconds = again.get("seconds", seconds)
        yield row


def _killed(
    place: Place, known: Acknowledged, number: int, how: str | float, row: dict[str, Any]
) -> int:
    """Publish until a publisher is killed; which version that was. Others were faster."""
    for version in range(number * 100, number * 100 + 100):
        answer = place.publisher.publish(known.name, version, how)
        if "killed" in answer:
            return version
        known.add(answer, row)
    raise AssertionError(f"{place.kind}: no publish was killed at {how}: {row}")


def _note(row: dict[str, Any], seen: dict[str, Any]) -> None:
    row["torn"] += seen["torn"]
    row["lost"] += seen["lost"]
    row["dense"] &= seen["dense"]
    row["visible"] = seen["visible"]


def race(place: Place, name: str, processes: int, each: int) -> dict[str, Any]:
    """So many processes publish so many versions of one model at once."""
    numbers = [[number * each + n for n in range(each)] for number in range(processes)]
    began = time.perf_counter()
    answers = place.publisher.race(name, numbers)
    row: dict[str, Any] = {"seconds": round(time.perf_counter() - began, 1)}
    row["failed"] = [answer["failed"] for answer in answers if "failed" in answer]
    known = Acknowledged(name)
    for answer in answers:
        for version, digest in answer.get("published", ()):
            known.add({"version": version, "digest": digest}, row)
    row |= look(place.open(), known)
    whole = row["visible"] == len(known.versions) == processes * each
    return row | {
        "publishers": processes,
        "publishes": processes * each,
        "retried": sum(answer.get("again", 0) for answer in answers),
        "dense": whole and row["dense"],
    }


def flips(place: Place, count: int) -> dict[str, Any]:
    """Flip single bits in the stored files of a version; what `verify` and a pull find of them."""
    choose, home = random.Random(count), place.files.parent / "pulled"
    # A version like no other: only its own files may be found by what is in them.
    answer = place.publisher.race("flipped", [[1_000_000 + choose.randrange(1_000_000)]])[0]
    version = Committed("flipped", *answer["published"][0])
    manifest = read_manifest(place.open(), version)
    where = _where(place, version, [*(entry.path for entry in manifest.entries), MANIFEST_FILE])
    verified = pulled = 0
    for number in range(count):
        path, start, size = where[number % len(where)]
        at, kept = start + choose.randrange(size), path.read_bytes()
        bit = 1 << choose.randrange(8)
        path.write_bytes(kept[:at] + bytes([kept[at] ^ bit]) + kept[at + 1 :])
        store = place.open()  # it remembers nothing
        verified += not verify_version(store, version, lambda *_: None).sound
        try:
            found = read_manifest(store, version)
            materialise(found, store, version, home / "cache", home / "out")
        except (BadFile, DigestMismatch):
            pulled += 1
        path.write_bytes(kept)
        shutil.rmtree(home, ignore_errors=True)
    assert verify_version(place.open(), version, lambda *_: None).sound
    return {"flips": count, "verify": verified, "pull": pulled}


def _where(place: Place, version: Committed, paths: list[str]) -> list[tuple[Path, int, int]]:
    """Where on this machine each file of a version lies: a file, an offset in it, a size."""
    if place.kind != "oci":
        found = (it.parent for it in place.files.rglob(MANIFEST_FILE) if _is(version, it))
        root = next(found)
        return [(root / path, 0, (root / path).stat().st_size) for path in paths]
    archive = next(
        it for it in place.files.glob("*.zip") if _is(version, zipfile.Path(it, MANIFEST_FILE))
    )
    with zipfile.ZipFile(archive) as directory:
        infos = [directory.getinfo(path) for path in paths]
    # A local header has 30 bytes and the name, and nothing else: catalog_oci._zip.
    return [(archive, it.header_offset + 30 + len(it.filename), it.file_size) for it in infos]


def _is(version: Committed, manifest: Path | zipfile.Path) -> bool:
    return hash_bytes(manifest.read_bytes()) == version.digest
