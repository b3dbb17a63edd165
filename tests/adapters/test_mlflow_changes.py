"""What a registry tells of changes that MLflow dates, and of those that it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from catalog.stores.protocol import Alias, Changes, Committed
from catalog_mlflow import MlflowStore, _changes
from catalog_mlflow._edge import Edge
from catalog_mlflow._place import parse_place
from tests.adapters.mlflow_foreign import register
from tests.conformance.store_tools import FILES, numbered, publish


class Model:
    """A registered model as MLflow's client gives it."""

    def __init__(self, name: str, time: int, aliases: dict[str, str] | None = None) -> None:
        self.name, self.last_updated_timestamp, self.aliases = name, time, aliases or {}


class Page(list):
    token = ""


class Registry:
    """MLflow's client over models in memory; counts what it is asked."""

    def __init__(self, count: int) -> None:
        self.models = {f"m{n:05}": Model(f"m{n:05}", n * 1000) for n in range(count)}
        self.asked: list[str] = []

    def search_registered_models(self, max_results=100, order_by=None, page_token=None):
        found = sorted(self.models.values(), key=lambda it: it.name)
        if order_by:
            found.sort(key=lambda it: -it.last_updated_timestamp)
        start = int(page_token or 0)
        page = Page(found[start : start + max_results])
        page.token = str(start + max_results) if start + max_results < len(found) else ""
        self.asked.append(f"{len(page)} models")
        return page

    def get_registered_model(self, name):
        from catalog.errors import NotFound

        self.asked.append(name)
        if name not in self.models:
            raise NotFound(name)
        return self.models[name]

    def search_model_versions(self, clause=None, max_results=100, page_token=None):
        self.asked.append(f"versions {clause}")
        return Page()


def look(registry: Registry, token: str) -> Changes:
    registry.asked.clear()
    return _changes.changes(registry, Edge("it", "http://x"), token)[0]


@pytest.fixture
def sliced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_changes, "SLICE", 10)
    monkeypatch.setattr(_changes, "_OVERLAP", 0)


def rounds(registry: Registry, token: str, looks: int) -> tuple[set[str], str]:
    """The names told in some looks."""
    told: set[str] = set()
    for _ in range(looks):
        found = look(registry, token)
        told |= set(found.names)
        token = found.token
    return told, token


@pytest.mark.usefixtures("sliced")
def test_a_dated_change_is_told_at_once_and_costs_no_list_of_all() -> None:
    registry = Registry(100)
    token = look(registry, "").token
    registry.models["m00050"].last_updated_timestamp = 10**6
    registry.models["new"] = Model("new", 10**6 + 1)
    found = look(registry, token)
    assert (found.complete, found.names) == (False, ("m00050", "new"))
    assert len(registry.asked) < 8


@pytest.mark.usefixtures("sliced")
def test_an_alias_that_others_set_is_told_within_one_round() -> None:
    registry = Registry(35)
    token = look(registry, "").token
    registry.models["m00020"].aliases = {"theirs": "3"}
    told, token = rounds(registry, token, 4)
    assert told == {"m00020"}
    assert rounds(registry, token, 8)[0] == set()


@pytest.mark.usefixtures("sliced")
def test_models_that_were_deleted_or_renamed_are_told_within_two_rounds() -> None:
    registry = Registry(35)
    token = look(registry, "").token
    del registry.models["m00003"], registry.models["m00030"]
    registry.models["renamed"] = registry.models.pop("m00010")
    registry.models["renamed"].name = "renamed"
    told, token = rounds(registry, token, 8)
    assert told == {"m00003", "m00010", "m00030", "renamed"}
    assert rounds(registry, token, 8)[0] == set()
    assert set(json.loads(token)["models"]) == set(registry.models)


@pytest.mark.usefixtures("sliced")
def test_nothing_that_is_there_is_ever_told_as_gone() -> None:
    """Pages shift while models come and go between the looks."""
    registry = Registry(40)
    token = look(registry, "").token
    for step in range(40):
        registry.models.pop(f"m{step:05}")
        registry.models[f"a{step:05}"] = Model(f"a{step:05}", 10**6 + step)
        found = look(registry, token)
        token = found.token
    known = json.loads(rounds(registry, token, 20)[1])["models"]
    assert set(known) == set(registry.models)


def test_a_tag_or_a_word_that_others_change_in_a_small_registry(tmp_path: Path) -> None:
    store = MlflowStore(parse_place("mlflow", tmp_path))
    publish(store, "ours", FILES)
    theirs = register(store, "theirs", {"model.pkl": b"x"}, "first words")
    token = store.changes("").token
    client = store._client
    assert store.changes(token).names == ()
    client.update_model_version("theirs", "1", "better words")
    client.set_registered_model_alias("ours", "best", "1")
    found = store.changes(token)
    assert found.names == ("ours", "theirs")
    assert found.aliases == (Alias("ours", "best", 1),)
    assert store.foreign(theirs).description == "better words"
    client.rename_registered_model("theirs", "Their's")
    client.delete_registered_model("ours")
    found = store.changes(found.token)
    assert set(found.names) == {"ours", "theirs", "Their's"}
    assert found.versions == (Committed("Their's", 1, ""),)
    publish(store, "ours", numbered(3))
    assert store.changes(found.token).names == ("ours",)
