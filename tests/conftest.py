"""Fixtures for every folder: an embedded MLflow registry and a real MLflow server, once a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from catalog.stores import Store
from tests.postgres_server import ABSENT, Server, programs, running_postgres

os.environ["CATALOG_CONFIG"] = os.devnull  # whatever stores the developer has named
os.environ.pop("CATALOG_INDEX", None)  # whatever database the developer uses
# How fast examples are made tells of the machine, not of the code.
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
pytest.register_assert_rewrite(
    "tests.conformance.store_suite",
    "tests.conformance.foreign_suite",
    "tests.conformance.store_tools",
)


@pytest.fixture(scope="session")
def embedded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalog home")


@pytest.fixture(scope="session")
def embedded(embedded_home: Path) -> Store:
    pytest.importorskip("mlflow")
    from catalog_mlflow import MlflowStore
    from catalog_mlflow._place import parse_place

    return MlflowStore(parse_place("mlflow", embedded_home))


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that runs until the tests end; about 10 s to start."""
    pytest.importorskip("mlflow")
    from tests.adapters.mlflow_server import running_server

    with running_server(tmp_path_factory.mktemp("mlflow server")) as url:
        yield url


@pytest.fixture(scope="session")
def served(mlflow_server: str) -> Store:
    from catalog_mlflow import open_store

    return open_store(f"mlflow+{mlflow_server}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL that runs until the tests end; about 2 s to start."""
    if not programs():
        pytest.skip(ABSENT)
    pytest.importorskip("psycopg")
    with running_postgres("fsync=off") as server:
        yield server
