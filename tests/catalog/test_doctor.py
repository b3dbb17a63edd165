"""The doctor looks at everything, names what to type, and changes and repeats nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from catalog.cli import main
from catalog.doctor import Finding, as_dict, examine, healthy, human
from catalog.index import open_index

PARTS = ("Python", "extra mlflow", "data folder", "cache folder", "index")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATALOG_CONFIG", str(tmp_path / "stores.yaml"))
    monkeypatch.setenv("CATALOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CATALOG_STORE", raising=False)
    return tmp_path


def looked() -> dict[str, Finding]:
    return {it.what: it for it in examine()}


def test_a_new_installation_is_healthy_and_stays_as_it_was(home: Path) -> None:
    found = looked()
    assert all(found[part].state == "ok" for part in PARTS)
    assert healthy(list(found.values()))
    assert not (home / "cache").exists() and not (home / "home" / "mlflow").exists()


@pytest.mark.parametrize("packages", [{}, {"onnxruntime-gpu": "1.28"}])
def test_an_extra_that_is_absent_is_named_with_what_brings_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, packages: dict[str, str]
) -> None:
    monkeypatch.setattr(
        "catalog.doctor._installed",
        lambda names: next((packages[n] for n in names if n in packages), ""),
    )
    found = looked()
    assert found["extra cpu or gpu"].state == ("ok" if packages else "warning")
    assert found["extra oci"].next == "pip install 'hep-model-catalog[oci]'"
    assert "pip install 'hep-model-catalog[cpu]'" in human(list(found.values())) or packages


def test_a_place_that_cannot_be_written_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("in the way")
    monkeypatch.setenv("CATALOG_CACHE", str(home / "file" / "cache"))
    found = looked()["cache folder"]
    assert (found.state, found.next) == ("failed", "export CATALOG_CACHE=/a/folder/of/yours")


def test_a_damaged_index_does_not_keep_the_rest_from_being_looked_at(home: Path) -> None:
    (home / "home").mkdir()
    (home / "home" / "index.db").write_bytes(b"not a database, but long enough to be read" * 99)
    found = looked()
    assert found["index"].state == "failed"
    assert "catalog sync" in found["index"].next
    assert found["Python"].state == found["cache folder"].state == "ok"


def test_each_named_store_is_asked_and_no_secret_is_repeated(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "sesame")
    (home / "stores.yaml").write_text(
        "stores:\n  near: {uri: 'memory:'}\n  none: {uri: 'memory:', token_env: NOT_SET}\n"
        "  odd: {uri: 'memory:', token_env: LAB_TOKEN}\n"
    )
    found = looked()
    assert found["store near"].state == "ok"
    assert "NOT_SET, which is not set" in found["store none"].words
    assert found["store none"].next == "export NOT_SET=..."
    assert found["store odd"].state == "failed"
    monkeypatch.setattr(sys, "argv", ["catalog", "doctor", "--json"])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    assert left.value.code == 1
    assert json.loads(told.out)["healthy"] is False
    assert "sesame" not in told.out + told.err


def test_a_list_of_stores_that_cannot_be_read_is_told_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "stores.yaml").write_text("- a list")
    monkeypatch.setattr(sys, "argv", ["catalog", "doctor"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    told = capsys.readouterr().out
    assert "stores.yaml" in told and "cache folder" in told  # the rest was looked at


def test_a_store_of_an_unknown_kind_hides_no_other(home: Path) -> None:
    listed = "stores:\n  weird: {uri: 'foo:bar'}\n  good: {uri: 'memory:'}\n"
    (home / "stores.yaml").write_text(listed)
    found = looked()
    assert found["store weird"].state == "failed" and "foo" in found["store weird"].words
    assert found["store good"].state == "ok"


def test_the_lines_say_what_to_type_only_where_something_is_wrong() -> None:
    found = [Finding("a", "ok", "fine", "never shown"), Finding("b", "failed", "bad", "type this")]
    assert "never shown" not in human(found)
    assert human(found).endswith("  next: type this")
    assert as_dict(found)["healthy"] is healthy(found) is False


def test_the_index_that_is_looked_at_is_the_one_in_use(home: Path) -> None:
    with open_index(home / "home"):
        pass
    assert looked()["index"].next == "catalog sync"
