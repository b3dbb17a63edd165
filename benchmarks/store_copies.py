"""What publishing and pulling cost beyond a plain copy that hashes once, and how much memory.

A busy machine stretches all three; only their ratios within one run mean something.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from catalog.manifest import build_manifest
from catalog.pull import materialise, read_manifest
from catalog.stores import Committed, Store, open_store
from catalog.streams import CHUNK
from tests.adapters.mlflow_server import running_server

_SEED = 0
_ROUNDS = 3
_SPARSE = 3_000_000_000  # bytes: more than 32 bits can count
_FREE = 16_000_000_000


def figures(size: int) -> dict[str, Any]:
    """Overheads at `size` bytes on this machine's disk, and peak memory at a tenth and all of it.

    Plain copy, publish and pull take turns, medians of three. Publish hashes, uploads and commits
    (the gate's own checks are not part of it); pull ends with the version's folder.
    """
    found: dict[str, Any] = {"copy_mb": size // 1_000_000}
    with tempfile.TemporaryDirectory() as temp:
        place = Path(temp)
        os.environ["CATALOG_HOME"] = str(place / "home")
        found |= _overheads(place, open_store("mlflow"), size)
        for part in (size // 10, size):
            found |= _peaks(place, part)
        if size >= 1_000_000_000:
            found |= _sparse(place, open_store("mlflow"))
    with tempfile.TemporaryDirectory() as temp, running_server(Path(temp)) as url:
        served = _overheads(Path(temp), open_store(f"mlflow+{url}"), size)
    return found | {f"served_{key}": value for key, value in served.items()}


def publish(store: Store, folder: Path, name: str = "big") -> Committed:
    """Hash, upload, commit."""
    manifest = build_manifest(folder)
    for entry in store.missing(name, manifest):
        with (folder / entry.path).open("rb") as source:
            store.upload(name, manifest, entry, source)
    return store.commit(name, manifest, "", {})


def pull(store: Store, version: Committed, cache: Path) -> Path:
    """Fetch into an empty cache; the version's folder."""
    folder = cache / "versions" / "v"
    materialise(read_manifest(store, version), store, version, cache, folder)
    return folder


def _overheads(place: Path, store: Store, size: int) -> dict[str, float]:
    list(store.versions())  # an embedded registry is created before the clock starts
    took = [_round(place / f"round{number}", store, size, number) for number in range(_ROUNDS)]
    copy, publishing, pulling = (statistics.median(column) for column in zip(*took, strict=True))
    return {
        "copy_s": round(copy, 2),
        "publish_overhead": round(publishing / copy - 1, 3),
        "pull_overhead": round(pulling / copy - 1, 3),
    }


def _round(place: Path, store: Store, size: int, seed: int) -> tuple[float, float, float]:
    """Seconds of a plain copy, a publish and a pull of the same new bytes."""
    folder = _version(place, size, seed)
    copy = _timed(lambda: _hashing_copy(folder, place / "copy"))
    published: list[Committed] = []
    publishing = _timed(lambda: published.append(publish(store, folder)))
    pulling = _timed(lambda: pull(store, published[0], place / "cache"))
    shutil.rmtree(place)
    return copy, publishing, pulling


def _hashing_copy(folder: Path, to: Path) -> None:
    """Read, hash and write in turn, then wait for the disk."""
    to.mkdir()
    with (folder / "weights.bin").open("rb") as source, (to / "weights.bin").open("wb") as sink:
        sha = hashlib.sha256()
        while chunk := source.read(CHUNK):
            sha.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())


def _peaks(place: Path, size: int) -> dict[str, int]:
    """Peak resident memory, MB, of a fresh process that publishes and of one that pulls."""
    folder = _version(place / f"peak{size}", size, size)
    verbs: dict[str, Callable[[Path], int]] = {"publish": _publishing, "pull": _pulling}
    found = {}
    for verb, work in verbs.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found[f"{verb}_peak_mb_at_{size // 1_000_000}_mb"] = pool.submit(work, folder).result()
    shutil.rmtree(folder.parent)
    return found


def _publishing(folder: Path) -> int:
    publish(open_store("mlflow"), folder, "peak")
    return _peak_mb()


def _pulling(folder: Path) -> int:
    store = open_store("mlflow")
    *_, newest = store.versions("peak")
    pull(store, newest, folder.parent / "cache")
    return _peak_mb()


def _peak_mb() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(it for it in status.splitlines() if it.startswith("VmHWM"))
    return int(line.split()[1]) // 1000


def _sparse(place: Path, store: Store) -> dict[str, float]:
    """Seconds to publish and pull a file of 3 GB that is a hole; what arrives is compared."""
    if shutil.disk_usage(place).free < _FREE:
        return {}
    folder = place / "sparse"
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(_SPARSE)
    published: list[Committed] = []
    publishing = _timed(lambda: published.append(publish(store, folder, "sparse")))
    pulled: list[Path] = []
    pulling = _timed(lambda: pulled.append(pull(store, published[0], place / "sparse-cache")))
    assert build_manifest(pulled[0]).digest == published[0].digest, "3 GB came back changed"
    return {"sparse_publish_s": round(publishing, 1), "sparse_pull_s": round(pulling, 1)}


def _version(place: Path, size: int, seed: int) -> Path:
    """A folder with one file of random bytes."""
    folder = place / "version"
    folder.mkdir(parents=True)
    with (folder / "weights.bin").open("wb") as file:
        for block in _blocks(size, _SEED + seed):
            file.write(block)
    return folder


def _blocks(size: int, seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    for start in range(0, size, CHUNK):
        yield rng.randbytes(min(CHUNK, size - start))


def _timed(work: Callable[[], object]) -> float:
    os.sync()  # nobody pays for the bytes of the one before
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
