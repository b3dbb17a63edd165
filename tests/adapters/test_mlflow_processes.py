"""Several processes at one registry, and processes that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.stores import Committed, Store
from catalog.verify import verify_version
from catalog_mlflow import MlflowStore
from catalog_mlflow._place import parse_place
from tests.adapters.publisher import Publisher, running_publisher
from tests.catalog.shelf import silent
from tests.conformance.store_tools import FILES, in_threads, manifest_of, numbered, publish


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    with running_publisher("mlflow", "mlflow", tmp_path_factory.mktemp("nowhere")) as publisher:
        yield publisher


def embedded_at(home: Path) -> MlflowStore:
    return MlflowStore(parse_place("mlflow", home))


def test_processes_that_create_the_registry_and_publish_at_once_number_densely(
    publisher: Publisher, tmp_path: Path
) -> None:
    answers = publisher.to("mlflow", tmp_path).race("shower", [[0, 1, 2, 3], [4, 5, 6, 7]])
    published = sorted(tuple(pair) for answer in answers for pair in answer["published"])
    found = list(embedded_at(tmp_path).versions())
    assert [(version.version, version.digest) for version in found] == published
    assert [version.version for version in found] == list(range(1, 9))
    assert len({version.digest for version in found}) == 8
    assert sorted(p.name for p in (tmp_path / "mlflow").iterdir()) == [
        "artifacts", "mlflow.db", "mlflow.lock",
    ]  # fmt: skip


def test_processes_that_publish_the_same_make_one_version(
    publisher: Publisher, tmp_path: Path
) -> None:
    one, two = publisher.to("mlflow", tmp_path).race("shower", [[5], [5]])
    assert one["published"] == two["published"]
    (version,) = embedded_at(tmp_path).versions()
    assert one["published"] == [[1, version.digest]]
    assert verify_version(embedded_at(tmp_path), version, silent).sound


def test_stores_that_publish_the_same_step_by_step_do_not_disturb_each_other(
    embedded_home: Path,
) -> None:
    """They share a run: same tags, same files, at the same moments."""
    stores = [embedded_at(embedded_home) for _ in range(4)]
    for store in stores:
        list(store.versions("shared"))
    found = in_threads([lambda store=store: publish(store, "shared", FILES) for store in stores])
    assert found == [Committed("shared", 1, manifest_of(FILES).digest)] * 4


def assert_resumes(store: Store) -> None:
    manifest = manifest_of(numbered(3))
    assert list(store.versions("shower")) == []
    missing = {entry.path for entry in store.missing("shower", manifest)}
    assert "model.onnx" in missing
    assert "card.yaml" not in missing, "what was finished is not sent again"
    version = publish(store, "shower", numbered(3))
    assert verify_version(store, version, silent).sound


def test_an_upload_killed_half_way_resumes(publisher: Publisher, tmp_path: Path) -> None:
    point = "half model.onnx"
    assert publisher.to("mlflow", tmp_path).publish("shower", 3, point) == {"killed": point}
    parts = tmp_path / "mlflow" / "artifacts"
    assert list(parts.rglob("*.part")), "killed while writing"
    assert_resumes(embedded_at(tmp_path))
    assert not list(parts.rglob("*.part")), "swept"


@pytest.mark.slow
def test_an_upload_to_a_server_killed_half_way_resumes(
    publisher: Publisher, tmp_path: Path, mlflow_server: str, served: Store
) -> None:
    point, uri = "half model.onnx", f"mlflow+{mlflow_server}"
    assert publisher.to(uri, tmp_path).publish("shower", 3, point) == {"killed": point}
    assert_resumes(served)
