"""Any flipped byte of a stored version is found, wherever it lies."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import BadFile, DigestMismatch
from catalog.index import open_index
from catalog.manifest import MANIFEST_FILE
from catalog.pull import fetch
from catalog.settings import Settings
from catalog.signed import SIGNATURE_FILE
from catalog.signing import sign
from catalog.stores.memory import MemoryStore
from catalog.verify import Problem, verify_version
from catalog.verify_report import as_dict, human
from tests.catalog.shelf import Shelf, put_on_shelf, silent
from tests.catalog.test_cli import run
from tests.catalog.test_signing import key_pair
from tests.toys import generator_folder

_serial = itertools.count()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", store="memory")


@pytest.fixture(params=["memory", "mlflow"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Shelf:
    """A signed version, on each kind of store."""
    store: Any = MemoryStore()
    if request.param == "mlflow":
        store = request.getfixturevalue("embedded")
    folder = generator_folder(tmp_path / "toy", name=f"verified{next(_serial)}")
    (folder / "plots").mkdir()
    (folder / "plots" / "note.txt").write_text("a file in a folder")
    sign(folder, key_pair(tmp_path, "key"), None, silent)
    return put_on_shelf(folder, store, request.param, settings)


def problems(shelf: Shelf, **how: Any) -> list[str]:
    return [it.path for it in verify_version(shelf.store, shelf.version, silent, **how).problems]


def test_every_flipped_bit_is_found_by_verify_and_by_pull(
    shelf: Shelf, settings: Settings, tmp_path: Path
) -> None:
    rng = random.Random(100)
    assert problems(shelf) == []
    paths = shelf.paths()
    assert {MANIFEST_FILE, SIGNATURE_FILE, "plots/note.txt"} < set(paths)
    for number in range(100):
        path = paths[number] if number < len(paths) else rng.choice(paths)
        before = shelf.flip(path, rng.randrange(len(shelf.read(path))), rng.randrange(8))
        assert problems(shelf) == [path]
        empty = replace(settings, cache=tmp_path / f"cache{number}")
        with pytest.raises((BadFile, DigestMismatch)):
            fetch(shelf.version, empty, shelf.store)
        assert not list((empty.cache / "versions").glob("*"))
        shelf.write(path, before)
    assert problems(shelf) == []
    assert fetch(shelf.version, settings, shelf.store).digest == shelf.version.digest


def test_lost_cut_and_grown_files_are_told_apart(shelf: Shelf) -> None:
    data = shelf.read("model.onnx")
    for damaged, reason in (
        (None, "absent"),
        (data[:-1], f"{len(data) - 1:,} of {len(data):,} bytes"),
        (data + b"x", f"longer than its {len(data):,} bytes"),
    ):
        shelf.write("model.onnx", damaged)
        found = verify_version(shelf.store, shelf.version, silent)
        assert found.problems == (Problem("model.onnx", reason),)
        assert not found.sound
        shelf.write("model.onnx", data)


def test_all_damaged_files_are_told_at_once(shelf: Shelf) -> None:
    for path in ("card.yaml", "plots/note.txt"):
        shelf.flip(path, 0, 0)
    shelf.write("test_inputs.npz", None)
    assert problems(shelf) == ["card.yaml", "plots/note.txt", "test_inputs.npz"]


def test_progress_ends_at_all_bytes(shelf: Shelf) -> None:
    told: list[tuple[int, int]] = []
    found = verify_version(shelf.store, shelf.version, lambda *it: told.append(it))
    assert found.manifest is not None
    assert told[-1] == (found.manifest.size, found.manifest.size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_signature_is_checked_when_a_key_is_given(shelf: Shelf, tmp_path: Path) -> None:
    key_pair(tmp_path, "other")

    def state(key: str | None) -> tuple[str, bool]:
        path = tmp_path / f"{key}.pub" if key else None
        found = verify_version(shelf.store, shelf.version, silent, path)
        return found.signature, found.sound

    assert state(None) == ("unchecked", True)
    assert state("key") == ("valid", True)
    assert state("other") == ("wrong", False)


def test_the_report_names_where_a_sound_copy_lies(shelf: Shelf, settings: Settings) -> None:
    shelf.flip("model.onnx", 5, 0)
    found = verify_version(shelf.store, shelf.version, silent)
    with open_index(settings.home) as index:
        value = as_dict(found, shelf.name, index, required=False)
        assert "catalog publish FOLDER" in value["next"]
        (row,) = index.by_digest(shelf.version.digest)
        index.put(replace(row, store="lab"))
        value = as_dict(found, shelf.name, index, required=False)
    ref = f"{shelf.version.name}@{shelf.version.version}"
    assert value["elsewhere"] == ["lab"]
    assert value["next"] == f"catalog replicate {ref} --from lab --to {shelf.name} --mend"
    text = human([value])
    assert "NOT SOUND" in text
    assert "model.onnx: differs" in text


def test_an_unsigned_version_is_not_sound_where_a_signature_is_required(
    tmp_path: Path, settings: Settings
) -> None:
    shelf = put_on_shelf(generator_folder(tmp_path / "toy"), MemoryStore(), "memory", settings)
    found = verify_version(shelf.store, shelf.version, silent)
    with open_index(settings.home) as index:
        assert as_dict(found, "memory", index, required=False)["sound"]
        assert not as_dict(found, "memory", index, required=True)["sound"]


def test_the_command_fails_when_a_file_differs_and_says_which(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    assert run(tmp_path, "publish", str(generator_folder(tmp_path / "toy"))).returncode == 0
    done = run(tmp_path, "verify", "--all", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["versions"][0]["sound"]
    (model,) = (tmp_path / "home").rglob("model.onnx")
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    done = run(tmp_path, "verify", "toy")
    assert done.returncode == 1
    assert "model.onnx: differs" in done.stdout
    assert "catalog publish" in done.stdout
    assert run(tmp_path, "verify").returncode == 2
