"""`catalog replicate` as a user meets it: exit codes, JSON, and the rules of both stores."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from catalog.cli import main
from catalog.index import open_index
from catalog.publish import publish
from catalog.signing import sign
from catalog.stores.memory import MemoryStore
from tests.catalog.shelf import silent
from tests.catalog.test_signing import key_pair
from tests.toys import generator_folder

STORES = "stores: {lab: {uri: 'memory:lab'}, twin: {uri: 'memory:LAB/'}, cloud: {uri: 'memory:c'}}"


@dataclass
class Desk:
    """A command line over two stores; `lab` has three versions of two models."""

    lab: MemoryStore
    cloud: MemoryStore
    place: Path
    type: Callable[..., tuple[int, Any, str]]

    def put(self, folder: Path) -> None:
        with open_index(self.place / "home") as index:
            publish(folder, self.lab, "lab", index, silent)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("folders")
    told = (("vae-a", 4.0), ("vae-a", 5.0), ("gan-b", 6.0))
    return [generator_folder(place / str(n), name=it, depth=d) for n, (it, d) in enumerate(told)]


@pytest.fixture
def desk(
    tmp_path: Path,
    folders: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    stores = {"lab": MemoryStore(), "cloud": MemoryStore()}
    monkeypatch.setenv("CATALOG_CONFIG", str(tmp_path / "stores.yaml"))
    monkeypatch.setenv("CATALOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CATALOG_STORE", "lab")
    monkeypatch.setattr("catalog.replicate.open_named", lambda name, _: stores[name])

    def type_in(*words: str) -> tuple[int, Any, str]:
        monkeypatch.setattr(sys, "argv", ["catalog", "replicate", *words])
        with pytest.raises(SystemExit) as left:
            main()
        told = capsys.readouterr()
        value = json.loads(told.out) if "--json" in words and told.out else told.out
        return int(left.value.code or 0), value, told.err

    made = Desk(stores["lab"], stores["cloud"], tmp_path, type_in)
    (tmp_path / "stores.yaml").write_text(STORES)
    for folder in folders:
        made.put(folder)
    return made


def test_json_tells_what_was_done_and_again_is_free(desk: Desk) -> None:
    code, value, _ = desk.type("vae-a@1", "--to", "cloud", "--json")
    (row,) = value["versions"]
    (version,) = desk.cloud.versions()
    assert (code, value["from"], value["to"], value["dry_run"]) == (0, "lab", "cloud", False)
    assert (row["ref"], row["there"], row["new"]) == ("vae-a@1", "vae-a@1", True)
    assert row["digest"] == version.digest
    assert row["files"] > 3 and row["bytes"] > 1000
    code, value, _ = desk.type("lab:vae-a@1", "--to", "cloud", "--json")
    (row,) = value["versions"]
    assert (code, row["new"], row["files"], row["bytes"]) == (0, False, 0, 0)


def test_a_dry_run_tells_the_same_and_sends_nothing(desk: Desk) -> None:
    code, planned, _ = desk.type("vae-a@2", "--to", "cloud", "--dry-run", "--json")
    assert (code, planned["dry_run"], list(desk.cloud.versions())) == (0, True, [])
    done = desk.type("vae-a@2", "--to", "cloud", "--json")[1]
    for row in (planned["versions"][0], done["versions"][0]):
        del row["there"]
    assert planned["versions"] == done["versions"]


def test_all_that_fit_a_filter_are_sent_and_no_others(desk: Desk) -> None:
    code, text, _ = desk.type("--all", "--filter", "vae-*", "--to", "cloud")
    assert code == 0
    assert text.count("vae-a@") == 4
    assert {(it.name, it.version) for it in desk.cloud.versions()} == {("vae-a", 1), ("vae-a", 2)}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing", "--to", "cloud"], 3, "nothing"),
        (["--all", "--filter", "x*", "--to", "cloud", "--json"], 3, "'x*'"),
        (["vae-a", "--to", "lab"], 2, "the same store"),
        (["vae-a", "--to", "twin"], 2, "the same store"),
        (["vae-a", "--to", "memory:lab"], 2, "the same store"),
        (["vae-a", "--to", "nowhere"], 3, "nowhere"),
        (["--to", "cloud"], 2, "one version, or all"),
        (["vae-a", "--all", "--to", "cloud"], 2, "one version, or all"),
        (["vae-a"], 2, "--to"),
        (["a/b", "--to", "cloud"], 2, "not a model reference"),
    ],
)
def test_what_cannot_be_done_has_its_exit_code(
    desk: Desk, words: list[str], code: int, said: str
) -> None:
    found, value, words_of_it = desk.type(*words)
    assert found == code, words_of_it
    assert said in words_of_it
    assert list(desk.cloud.versions()) == []
    if "--json" in words:
        assert value["versions"] == []


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize("which", ["lab", "cloud"])
def test_both_stores_are_asked_for_their_rule_on_signatures(
    desk: Desk, tmp_path: Path, which: str, dry: list[str]
) -> None:
    for name in ("ours", "theirs"):
        key_pair(tmp_path, name)
    folder = generator_folder(tmp_path / "signed", name="signed")
    sign(folder, tmp_path / "ours.pem", None, silent)
    desk.put(folder)

    def rule(key: str) -> None:
        more = ", require_signature: true" + (f", public_key: {tmp_path / key}" if key else "")
        uri = {"lab": "'memory:lab'", "cloud": "'memory:c'"}[which]
        (tmp_path / "stores.yaml").write_text(STORES.replace(uri, uri + more))

    for key, ref, said in (
        ("ours.pub", "vae-a@1", f"is not signed, and {which}"),
        ("theirs.pub", "signed", "is not a signature"),
        ("", "signed", "no public key"),
    ):
        rule(key)
        code, _, told = desk.type(ref, "--to", "cloud", *dry)
        assert (code, list(desk.cloud.versions())) == (1, []), told
        assert said in told
    rule("ours.pub")
    assert desk.type("signed", "--to", "cloud", *dry)[0] == 0
    assert [it.name for it in desk.cloud.versions()] == ([] if dry else ["signed"])
