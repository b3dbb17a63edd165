"""What publishing and pulling cost beyond a plain copy that hashes once."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from catalog.manifest import build_manifest
from catalog.pull import materialise, read_manifest
from catalog.stores import Committed, Store, open_store
from catalog.streams import CHUNK

_SEED = 0
_ROUNDS = 3


def figures(size: int) -> dict[str, Any]:
    """Overheads at `size` bytes on this machine's disk, in the embedded registry.

    Plain copy, publish and pull take turns; publish hashes and uploads (the gate's own checks are
    not part of it), pull ends with the version's folder.
    """
    with tempfile.TemporaryDirectory() as temp:
        place = Path(temp)
        os.environ["CATALOG_HOME"] = str(place / "home")
        store = open_store("mlflow")
        list(store.versions())  # the registry is created before the clock starts
        took = [_round(place / str(number), store, size, number) for number in range(_ROUNDS)]
    copy, publishing, pulling = (statistics.median(column) for column in zip(*took, strict=True))
    return {
        "copy_mb": size // 1_000_000,
        "copy_s": round(copy, 2),
        "publish_overhead": round(publishing / copy - 1, 3),
        "pull_overhead": round(pulling / copy - 1, 3),
    }


def publish(store: Store, folder: Path) -> Committed:
    """Hash, upload, commit."""
    manifest = build_manifest(folder)
    for entry in store.missing("big", manifest):
        with (folder / entry.path).open("rb") as source:
            store.upload("big", manifest, entry, source)
    return store.commit("big", manifest, "", {})


def _round(place: Path, store: Store, size: int, seed: int) -> tuple[float, float, float]:
    """Seconds of a plain copy, a publish and a pull of the same new bytes."""
    folder, cache = place / "version", place / "cache"
    folder.mkdir(parents=True)
    with (folder / "weights.bin").open("wb") as file:
        for block in _blocks(size, _SEED + seed):
            file.write(block)
    copy = _timed(lambda: _hashing_copy(folder, place / "copy"))
    published: list[Committed] = []
    publishing = _timed(lambda: published.append(publish(store, folder)))
    version = published[0]
    manifest = read_manifest(store, version)
    pulling = _timed(lambda: materialise(manifest, store, version, cache, cache / "versions" / "v"))
    store.delete(version)
    shutil.rmtree(place)
    return copy, publishing, pulling


def _hashing_copy(folder: Path, to: Path) -> None:
    to.mkdir()
    with (folder / "weights.bin").open("rb") as source, (to / "weights.bin").open("wb") as sink:
        sha = hashlib.sha256()
        while chunk := source.read(CHUNK):
            sha.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())


def _blocks(size: int, seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    for start in range(0, size, 1 << 20):
        yield rng.randbytes(min(1 << 20, size - start))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
