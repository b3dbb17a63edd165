"""Several processes at one registry, and processes that are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from catalog.stores import Committed, Store
from catalog_mlflow import MlflowStore
from catalog_mlflow._place import parse_place
from tests.conformance.store_tools import (
    FILES,
    in_threads,
    manifest_of,
    numbered,
    publish,
    read_file,
)

Processes = list[subprocess.Popen]


def start(home: Path, uri: str, numbers: list[str], name: str = "shower") -> Processes:
    """One process for each; they wait until all are ready and then begin at once."""
    command = [sys.executable, "-m", "tests.adapters.publisher", uri, name, str(home)]
    environment = os.environ | {"CATALOG_HOME": str(home)}
    processes = [
        subprocess.Popen(
            [*command, what], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        for what in numbers
    ]  # fmt: skip
    wait_for(lambda: len(list(home.glob("ready-*"))) == len(numbers), processes)
    (home / "go").touch()
    return processes


def wait_for(condition, processes: Processes) -> None:
    until = time.monotonic() + 60
    while not condition():
        dead = [p for p in processes if p.poll() not in (None, 0)]
        assert not dead, dead[0].communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def finish(processes: Processes) -> list[int]:
    """The version numbers they were given; nothing else may be on stdout, nothing on stderr."""
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [error for _, error in outputs] == [""] * len(outputs)
    return sorted(int(line.split()[0]) for output, _ in outputs for line in output.splitlines())


def embedded_at(home: Path) -> MlflowStore:
    return MlflowStore(parse_place("mlflow", home))


def test_processes_that_create_the_registry_and_publish_at_once_number_densely(
    tmp_path: Path,
) -> None:
    processes = start(tmp_path, "mlflow", ["0,1,2,3", "4,5,6,7"])
    assert finish(processes) == list(range(1, 9))
    found = list(embedded_at(tmp_path).versions())
    assert [version.version for version in found] == list(range(1, 9))
    assert {v.digest for v in found} == {manifest_of(numbered(n)).digest for n in range(8)}
    assert sorted(p.name for p in (tmp_path / "mlflow").iterdir()) == [
        "artifacts", "mlflow.db", "mlflow.lock",
    ]  # fmt: skip


def test_processes_that_publish_the_same_make_one_version(tmp_path: Path) -> None:
    processes = start(tmp_path, "mlflow", ["5", "5"])
    assert finish(processes) == [1, 1]
    (version,) = embedded_at(tmp_path).versions()
    entry = manifest_of(numbered(5)).entries[0]
    assert read_file(embedded_at(tmp_path), version, entry) == b"seed: 5\n"


def test_stores_that_publish_the_same_step_by_step_do_not_disturb_each_other(
    embedded_home: Path,
) -> None:
    """They share a run: same tags, same files, at the same moments."""
    stores = [embedded_at(embedded_home) for _ in range(4)]
    for store in stores:
        list(store.versions("shared"))
    found = in_threads([lambda store=store: publish(store, "shared", FILES) for store in stores])
    assert found == [Committed("shared", 1, manifest_of(FILES).digest)] * 4


def kill_half_way(home: Path, uri: str) -> None:
    (process,) = processes = start(home, uri, ["hang"])
    wait_for((home / "half").exists, processes)
    process.kill()
    process.communicate()


def assert_resumes(store: Store) -> None:
    manifest = manifest_of(FILES)
    assert list(store.versions("shower")) == []
    missing = {entry.path for entry in store.missing("shower", manifest)}
    assert "model.onnx" in missing
    assert "card.yaml" not in missing, "what was finished is not sent again"
    version = publish(store, "shower", FILES)
    assert {e.path: read_file(store, version, e) for e in manifest.entries} == FILES


def test_an_upload_killed_half_way_resumes(tmp_path: Path) -> None:
    kill_half_way(tmp_path, "mlflow")
    parts = tmp_path / "mlflow" / "artifacts"
    assert list(parts.rglob("*.part")), "killed while writing"
    assert_resumes(embedded_at(tmp_path))
    assert not list(parts.rglob("*.part")), "swept"


@pytest.mark.slow
def test_an_upload_to_a_server_killed_half_way_resumes(
    tmp_path: Path, mlflow_server: str, served: Store
) -> None:
    kill_half_way(tmp_path, f"mlflow+{mlflow_server}")
    assert_resumes(served)


@pytest.mark.slow
def test_processes_at_a_server_number_densely(
    tmp_path: Path, mlflow_server: str, served: Store
) -> None:
    uri = f"mlflow+{mlflow_server}"
    processes = start(tmp_path, uri, ["10,11,12,13", "20,21,22,23"], name="crowded")
    assert finish(processes) == list(range(1, 9))
    assert len(list(served.versions("crowded"))) == 8
