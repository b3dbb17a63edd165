"""Named stores: one file of the user's alone, no credential in it, no change lost."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from catalog.cli import sync as sync_verb
from catalog.errors import BadFile, CatalogError, NotAuthorised, NotFound, UsageError
from catalog.settings import load_settings
from catalog.store_check import check_all
from catalog.store_names import Named, StoreNames, add_store, read_names, remove_store
from catalog.stores import Secret, open_named, open_store
from catalog.stores.memory import MemoryStore
from catalog.stores.named import secret_of, store_name, store_of

LAB = Named("mlflow+https://mlflow.example.org", token_env="LAB_TOKEN")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "config" / "stores.yaml"
    monkeypatch.setenv("CATALOG_CONFIG", str(file))
    monkeypatch.delenv("CATALOG_STORE", raising=False)
    return file


def test_what_was_added_is_read_and_what_was_removed_is_not(path: Path) -> None:
    add_store(path, "lab", LAB, default=True)
    add_store(path, "cloud", Named("memory:", require_signature=True))
    cloud = Named("memory:", require_signature=True)
    assert read_names(path) == StoreNames({"cloud": cloud, "lab": LAB}, "lab")
    remove_store(path, "lab")
    assert read_names(path) == StoreNames({"cloud": cloud})
    with pytest.raises(NotFound, match="no store is named 'lab'"):
        remove_store(path, "lab")


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    add_store(path, "lab", LAB)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [it.name for it in path.parent.iterdir()] == ["stores.yaml"]


def test_two_at_once_lose_nothing(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from catalog.store_names import Named, add_store\n"
        "for n in range(5): add_store(Path(sys.argv[1]), f'{sys.argv[2]}{n}', Named('memory:'))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), who]) for who in "ab"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: add_store(path, f"c{n}", Named("memory:")), range(5)))
    assert [process.wait() for process in running] == [0, 0]
    assert set(read_names(path).stores) == {f"{who}{n}" for who in "abc" for n in range(5)}


def test_the_lock_of_a_killed_process_does_not_block(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir()
    (path.parent / ".stores.yaml.lock").touch()
    monkeypatch.setattr("catalog.store_names._PATIENCE", 0.0)
    with pytest.raises(CatalogError, match="another process"):
        add_store(path, "lab", LAB)
    monkeypatch.setattr("catalog.store_names._STALE", -1.0)
    add_store(path, "lab", LAB)
    assert "lab" in read_names(path).stores


@pytest.mark.parametrize(
    ("name", "store", "words"),
    [
        ("Lab", LAB, "cannot name a store"),
        ("mlflow", LAB, "cannot name a store"),
        ("a" * 33, LAB, "cannot name a store"),
        ("../lab", LAB, "cannot name a store"),
        ("lab", Named("mlflow+https://ada:sesame@host"), "carries a password"),
        ("lab", Named("mlflow+https://host?token=sesame"), "carries a password"),
        ("mlflow+https://ada:sesame@host", LAB, "cannot name a store"),
        ("lab", Named("mlflow+https://host", token_env="sk-sesame-1234"), "not what it holds"),
        ("lab", Named("mlflow+https://host", login_env="ada:sesame"), "not what it holds"),
    ],
)
def test_what_must_not_be_in_the_file_is_refused_and_never_repeated(
    path: Path, name: str, store: Named, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        add_store(path, name, store)
    assert "sesame" not in caught.value.message + caught.value.hint
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "- a list", "stores: {lab: 3}", "stores: {lab: {uri: x, colour: blue}}", "a: &b 1\nc: *b",
        "stores: {lab: {uri: [x]}}", "stores: {lab: {uri: x, require_signature: maybe}}",
        "stores: [lab]", "stores: 5", "default: nowhere", "stores: {Lab: {uri: x}}",
        "\x00", "[" * 5000,
        "stores: {lab: {uri: 'mlflow+https://ada:sesame@host'}}",
        "stores: {lab: {uri: 'mlflow+https://ada:sesame@host'",
        "stores:\n  lab: {uri: 'mlflow+https://ada:sesame@host'}\n  lab: {uri: x}",
        "default: 'mlflow+https://ada:sesame@host'",
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_named_and_left_alone(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    for use in (lambda: read_names(path), lambda: add_store(path, "b", LAB), load_settings):
        with pytest.raises(BadFile, match=r"stores\.yaml") as caught:
            use()
        assert "sesame" not in caught.value.message
    assert path.read_text() == text


def test_a_file_without_an_end_is_not_read_whole(path: Path) -> None:
    code = (
        "import resource; from catalog.store_names import *\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "try: read_names(Path('/dev/zero'))\n"
        "except BadFile as exc: print(exc.message)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "too large" in told.stdout, told.stderr


def test_the_usual_store_is_a_name_wherever_it_has_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().store == "mlflow"
    add_store(path, "lab", LAB, default=True)
    assert load_settings().store == "lab"
    for told, wanted in (("mlflow", "mlflow"), (LAB.uri, "lab"), ("memory:", "memory:")):
        monkeypatch.setenv("CATALOG_STORE", told)
        assert load_settings().store == wanted


def test_a_store_is_opened_by_name_or_uri_and_unknown_ones_are_listed(path: Path) -> None:
    add_store(path, "mine", Named("memory:"))
    assert isinstance(open_named("mine"), MemoryStore)
    assert isinstance(open_named("memory:"), MemoryStore)
    assert store_name(None, "mine") == store_name("memory:", "x") == "mine"
    for use in (lambda: open_named("other"), lambda: store_name("other", "mine")):
        with pytest.raises(NotFound, match="known: mlflow, mine"):
            use()


def test_each_store_has_its_own_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "sesame")
    monkeypatch.setenv("CLOUD_LOGIN", "ada:open:sesame")
    assert secret_of("lab", LAB) == Secret("sesame", source="LAB_TOKEN")
    found = secret_of("cloud", Named("x", login_env="CLOUD_LOGIN"))
    assert found == Secret(username="ada", password="open:sesame", source="CLOUD_LOGIN")
    assert "sesame" not in repr(found)
    assert secret_of("open", Named("x")) is None


def test_a_missing_credential_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_TOKEN", raising=False)
    with pytest.raises(NotAuthorised, match="LAB_TOKEN, which is not set"):
        secret_of("lab", LAB)
    monkeypatch.setenv("LAB_TOKEN", "sesame")
    with pytest.raises(NotAuthorised, match="USER:PASSWORD") as caught:
        secret_of("lab", Named("x", login_env="LAB_TOKEN"))
    assert "sesame" not in caught.value.message


def test_the_keyring_is_asked_for_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    named = Named("x", keyring="hep")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match="not installed"):
        secret_of("lab", named)
    kept = {("hep", "lab"): "sesame"}
    fake = SimpleNamespace(get_password=lambda service, user: kept.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert secret_of("lab", named) == Secret("sesame", source="the keyring")
    with pytest.raises(NotAuthorised, match="no token of 'cloud'"):
        secret_of("cloud", named)


def test_a_store_that_takes_no_credential_says_so() -> None:
    with pytest.raises(UsageError, match="its own ways to sign in"):
        open_store("memory:", Secret("sesame"))


@pytest.mark.parametrize(
    "spelt", ["https://lab.example/", "https://LAB.example", "HTTPS://lab.example"]
)
def test_a_rule_does_not_hang_on_how_an_address_is_spelt(path: Path, spelt: str) -> None:
    add_store(path, "lab", Named("mlflow+https://lab.example", require_signature=True))
    names = read_names(path)
    assert names.name_of(f"mlflow+{spelt}") == "lab"
    assert names.name_of("mlflow+https://lab.example/other") == "mlflow+https://lab.example/other"


def test_a_list_longer_than_can_be_read_is_neither_read_nor_written(path: Path) -> None:
    path.parent.mkdir()
    lines = [f"  s{n}: {{uri: 'mlflow+https://host{n}.example.org'}}\n" for n in range(20_000)]
    path.write_text("stores:\n" + "".join(lines))
    with pytest.raises(BadFile, match=r"stores\.yaml: too large: .* at most 200,000 bytes"):
        read_names(path)
    path.write_text("stores:\n" + "".join(lines[:3_000]))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="too large"):
        add_store(path, "lab", Named("memory:" + "x" * 90_000))
    assert path.read_bytes() == before
    assert [it.name for it in path.parent.iterdir()] == ["stores.yaml"]


def test_the_list_is_read_once_for_all_stores(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read for each store again, a list of thousands took minutes to sync."""
    for n in range(4):
        add_store(path, f"s{n}", Named("memory:"))
    monkeypatch.setenv("CATALOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CATALOG_STORE", "s0")
    read = []
    monkeypatch.setattr(
        "catalog.strict_yaml.load_yaml", lambda text: read.append(text) or yaml.safe_load(text)
    )
    sync_verb.run(stores=None, full=False, as_json=True)
    used_by_sync = len(read)
    check_all([f"s{n}" for n in range(4)])
    assert (used_by_sync, len(read) - used_by_sync) == (3, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_place_of_the_list_is_refused_and_not_waited_for(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(BadFile, match="is a pipe"):
        read_names(path)


def test_a_reference_and_an_option_name_one_store_or_are_refused(path: Path) -> None:
    add_store(path, "lab", Named("memory:"))
    assert store_of("lab:toy@1", "--from", "lab", "mlflow") == "lab"
    assert store_of("lab:toy@1", "--from", None, "mlflow") == "lab"
    assert store_of("toy@1", "--from", "lab", "mlflow") == "lab"
    with pytest.raises(UsageError, match="--from says mlflow"):
        store_of("lab:toy@1", "--from", "mlflow", "mlflow")
