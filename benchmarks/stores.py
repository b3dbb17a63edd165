"""Ten thousand models in a real MLflow server: search, sync. Also: copies of 2 GB, and kills.

The registry's rows are inserted with SQL into the SQLite file that MLflow itself created, and the
files are written where its artifact proxy reads them: publishing 50,000 versions would take hours
and is not what is measured. Everything that is timed goes through the running server.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import store_copies, store_kills
from catalog.card import Card, card_yaml
from catalog.domain import Domain, TensorSpec, detector_names, load_detector
from catalog.index import Index, Query, open_index
from catalog.manifest import Entry, Manifest, hash_bytes
from catalog.pull import read_manifest
from catalog.stores import Store, open_store
from catalog.sync import sync
from tests.adapters.mlflow_server import running_server

SEED = 0
_TASKS = ("shower-generation", "energy-regression", "particle-identification", "jet-tagging")
_YEAR_MS = 365 * 24 * 3600 * 1000


def measure(quick: bool) -> dict[str, Any]:
    """Figures of all three parts; what is timed comes first, and wants a quiet machine."""
    models, size = (200, 50_000_000) if quick else (10_000, 2_000_000_000)
    with tempfile.TemporaryDirectory() as temp:
        figures = _registry(Path(temp), models)
    return figures | store_copies.figures(size) | store_kills.figures(quick)


def _registry(place: Path, models: int) -> dict[str, Any]:
    """Sync and search of a registry of `models` models with five versions each."""
    _create(place)
    began = time.perf_counter()
    _populate(place, models)
    populated = time.perf_counter() - began
    with running_server(place) as url, open_index(place / "home") as index:
        store = open_store(f"mlflow+{url}")
        first = _timed(lambda: sync(store, "lab", index, print))
        unchanged = _timed(lambda: sync(store, "lab", index, print))
        _change(store, models)
        before = index.count("lab")
        incremental = _timed(lambda: sync(store, "lab", index, print))
        assert index.count("lab") == before + 10, "the changes were not noticed"
        theirs, ours = _searches(store, index, 3 if models < 1000 else 15)
    return {
        "models": models,
        "versions": 5 * models,
        "populate_s": round(populated, 1),
        "first_sync_s": round(first, 1),
        "unchanged_sync_s": round(unchanged, 2),
        "incremental_sync_s": round(incremental, 2),
        "search_speedup": round(theirs / ours, 1),
        "search_ms": round(1000 * ours, 2),
        "mlflow_search_ms": round(1000 * theirs, 1),
    }


def _create(place: Path) -> None:
    """MLflow's own tables, and the default experiment behind the artifact proxy."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{place}/server.db", "mlflow-artifacts:/")
    store.engine.dispose()


def _populate(place: Path, models: int) -> None:
    """Rows and files of five versions each, changed at random times of the last year."""
    rng, now = random.Random(SEED), int(time.time() * 1000)
    detectors = [load_detector(name) for name in detector_names()]
    with closing(sqlite3.connect(place / "server.db")) as db, db:
        for number in range(models):
            name, detector = f"model-{number:05}", rng.choice(detectors)
            card = Card(
                name=name,
                summary=f"Model {number} of {detector.name}",
                task=_TASKS[number % len(_TASKS)],
                licence="Apache-2.0",
                domain=Domain(detector=detector, particles=(22,), energy_gev=(1, 100)),
                inputs=(TensorSpec(name="x", dtype="float32", shape=(-1, 9), role="features"),),
                outputs=(TensorSpec(name="y", dtype="float32", shape=(-1, 1), role="prediction"),),
            )
            times = sorted(now - rng.randrange(3_600_000, _YEAR_MS) for _ in range(5))
            _insert(db, "registered_models", name=name, creation_time=times[0],
                    last_updated_time=times[-1])  # fmt: skip
            for version, date in enumerate(times, start=1):
                folder = f"0/{hashlib.md5(f'{name}{version}'.encode()).hexdigest()}/artifacts/v"
                text = card_yaml(card.model_copy(update={"description": f"take {version}"}))
                manifest = _write(place / "artifacts" / folder, text.encode())
                row = {"name": name, "version": version}
                _insert(db, "model_versions", **row, creation_time=date, last_updated_time=date,
                        description=card.summary, current_stage="None", status="READY",
                        source=f"mlflow-artifacts:/{folder}",
                        storage_location=f"mlflow-artifacts:/{folder}")  # fmt: skip
                tags = {
                    "task": card.task,
                    "detector": detector.name,
                    "detector_type": detector.type,
                    "catalog.manifest": manifest.digest,
                }
                for key, value in tags.items():
                    _insert(db, "model_version_tags", **row, key=key, value=value)


def _insert(db: sqlite3.Connection, table: str, **row: object) -> None:
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def _write(folder: Path, card: bytes) -> Manifest:
    """The two files that a sync reads; the model itself is not there."""
    entries = (
        Entry("card.yaml", len(card), hash_bytes(card)),
        Entry("model.onnx", 1_000_000, hash_bytes(b"model")),
    )
    folder.mkdir(parents=True)
    (folder / "card.yaml").write_bytes(card)
    (folder / "manifest.json").write_bytes(Manifest(entries).to_bytes())
    return Manifest(entries)


def _change(store: Store, models: int) -> None:
    """Ten new versions of ten models, as another machine publishes them."""
    import io

    for number in range(0, models, models // 10):
        name = f"model-{number:05}"
        version = next(iter(store.versions(name)))
        manifest = read_manifest(store, version)
        with store.open_file(version, manifest.entries[0]) as file:
            card = file.read().replace(b"take 1", b"take 6")
        entry = Entry("card.yaml", len(card), hash_bytes(card))
        store.upload(name, Manifest((entry,)), entry, io.BytesIO(card))
        store.commit(name, Manifest((entry,)), "", {})


def _searches(store: Store, index: Index, rounds: int) -> tuple[float, float]:
    """Median seconds for the first hundred hits of one question: MLflow's client, the index."""
    theirs, ours = [], []
    client = store._client  # type: ignore[attr-defined]
    for number in range(rounds):
        task, kind = _TASKS[number % len(_TASKS)], ("ecal", "hcal")[number % 2]
        clause = f"tags.task = '{task}' AND tags.detector_type = '{kind}'"
        theirs.append(_timed(lambda c=clause: client.search_model_versions(c, max_results=100)))
        query = Query(task=task, detector=kind, limit=100)
        ours.append(_timed(lambda q=query: index.search(q, "lab")))
    return statistics.median(theirs), statistics.median(ours)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
