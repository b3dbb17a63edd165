"""Aliases in MLflow: what its own tools see and set, and what a strange server may answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from catalog.errors import NotAuthorised, NotFound
from catalog.stores import Alias, Store
from catalog_mlflow._aliases import list_aliases, set_alias
from catalog_mlflow._edge import Edge
from tests.adapters.test_mlflow_embedded import foreign_version, mlflow_client
from tests.conformance.store_tools import FILES, numbered, publish


def test_mlflow_and_the_catalog_see_each_others_aliases(
    embedded: Store, embedded_home: Path
) -> None:
    for number in (1, 2):
        publish(embedded, "named", numbered(number))
    client = mlflow_client(embedded_home)
    embedded.point("named", "champion", 1)
    assert int(client.get_model_version_by_alias("named", "champion").version) == 1
    client.set_registered_model_alias("named", "champion", "2")
    client.set_registered_model_alias("named", "Their_Best", "1")
    assert list(embedded.aliases("named")) == [
        Alias("named", "Their_Best", 1), Alias("named", "champion", 2),
    ]  # fmt: skip
    embedded.point("named", "Their_Best", None)
    left = client.get_registered_model("named").aliases
    assert {alias: int(version) for alias, version in left.items()} == {"champion": 2}


def test_a_model_of_others_may_be_named_and_keeps_what_they_set(
    embedded: Store, embedded_home: Path
) -> None:
    publish(embedded, "ours", FILES)
    client = mlflow_client(embedded_home)
    foreign_version(client, "theirs")
    client.set_registered_model_alias("theirs", "prod", "1")
    embedded.point("ours", "prod", 1)
    embedded.point("ours", "prod", None)
    embedded.point("theirs", "candidate", 1)
    assert {it.alias for it in embedded.aliases("theirs")} == {"prod", "candidate"}


class Registry:
    """A server that answers as it likes, two models a page."""

    def __init__(self, *models: object) -> None:
        self._models = models

    def search_registered_models(self, max_results: int, page_token: str | None) -> object:
        start = int(page_token or 0)
        rest = start + 2 < len(self._models)
        page = Page(self._models[start : start + 2])
        page.token = str(start + 2) if rest else None
        return page


class Page(list):
    token: str | None = None


def test_every_page_is_read_and_what_is_no_version_is_left_out() -> None:
    strange = {"a": "0x1", "b": None, "c": "-1", "d": "9" * 400, "e": "\u0661", "f": 3}
    registry = Registry(
        SimpleNamespace(name="one", aliases={"champion": "1"}),
        SimpleNamespace(name="none", aliases=None),
        SimpleNamespace(name="\x1b[31m", aliases=strange),
    )
    found = list_aliases(registry, Edge("it", "http://x"))
    assert found == [Alias("\x1b[31m", "f", 3), Alias("one", "champion", 1)]


def test_a_refusal_to_set_is_not_taken_for_a_missing_version() -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    class Closed:
        def get_model_version(self, name: str, version: str) -> object:
            return SimpleNamespace()

        def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
            raise MlflowException("no", error_code=PERMISSION_DENIED)

    with pytest.raises(NotAuthorised):
        set_alias(Closed(), Edge("it", "http://x"), "one", "champion", 1)


def test_a_missing_version_is_named() -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

    class Empty:
        def get_model_version(self, name: str, version: str) -> object:
            raise MlflowException("not found", error_code=RESOURCE_DOES_NOT_EXIST)

    with pytest.raises(NotFound, match="no version one@4 in this store"):
        set_alias(Empty(), Edge("it", "http://x"), "one", "champion", 4)
