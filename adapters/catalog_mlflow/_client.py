"""Open MLflow quietly and safely: an own client, nothing global of the user's changed."""

from __future__ import annotations

import logging
import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from catalog.errors import StoreError
from catalog.stores.secret import Secret
from catalog_mlflow._edge import Edge, folder_error
from catalog_mlflow._place import Place

EXPERIMENT = "hep-model-catalog"
_PROBE_SECONDS = (5, 8)  # to connect, to answer

# Pickles: nothing is ever loaded here, and the switch stays off for whoever does later.
_FORCED = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
# MLflow would retry seven times over four minutes, repeating creations too: Edge retries instead.
_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}

# They log every migration, and a traceback for errors that reach the user as ours anyway.
_NOISY = ("mlflow.store", "mlflow.exceptions")


def connect(place: Place, edge: Edge, secret: Secret | None = None) -> Any:
    """Return an MlflowClient for the registry; an embedded one is created when absent.

    `secret` is for this server alone; without one MLflow's own variables say who we are.

    Raises
    ------
    StoreError, NotAuthorised
    """
    _import_quietly()
    from mlflow.tracking import MlflowClient

    if place.database is None or place.artifacts is None:
        edge.once(_probe, place.uri, secret)
    else:
        try:
            _create_database(place.database, place.artifacts)
            _check_database(place.database)
        except OSError as exc:
            raise folder_error(exc, str(place.database.parent)) from exc
    client = edge.call(MlflowClient, tracking_uri=place.uri, registry_uri=place.uri)
    return client if secret is None else _sign_in(client, place.uri, secret)


def credentials(uri: str, secret: Secret | None = None) -> Any:
    """Who we are at this server: the secret, or what MLflow's own variables and files say."""
    from mlflow.utils.credentials import get_default_host_creds

    told = get_default_host_creds(uri)
    if secret is not None:
        told.token = secret.token or None
        told.username, told.password = secret.username or None, secret.password or None
    return told


def request(
    uri: str, endpoint: str, method: str, secret: Secret | None = None, **kwargs: Any
) -> Any:
    """One HTTP request with credentials, never retried; any status is returned."""
    from mlflow.utils.rest_utils import http_request

    return http_request(
        credentials(uri, secret), endpoint, method, max_retries=0, retry_codes=(),
        raise_on_status=False, **kwargs,
    )  # fmt: skip


def _sign_in(client: Any, uri: str, secret: Secret) -> Any:
    """Give a client connections of its own: MLflow shares them between clients of one address."""
    from mlflow.store.model_registry.rest_store import RestStore as Registry
    from mlflow.store.tracking.rest_store import RestStore as Tracking
    from mlflow.tracking._model_registry.client import ModelRegistryClient
    from mlflow.tracking._tracking_service.client import TrackingServiceClient

    class OwnTracking(TrackingServiceClient):  # type: ignore[misc]
        store = Tracking(lambda: credentials(uri, secret))

    class OwnRegistry(ModelRegistryClient):  # type: ignore[misc]
        store = Registry(lambda: credentials(uri, secret))

    client._tracking_client = OwnTracking(uri)
    client._registry_client_lazy = OwnRegistry(uri, uri)
    return client


def _import_quietly() -> None:
    os.environ.update(_FORCED)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _probe(uri: str, secret: Secret | None) -> None:
    """Any answer will do: fail in seconds, not after the timeout that a long listing needs."""
    request(uri, "/health", "GET", secret, timeout=_PROBE_SECONDS)


def _create_database(database: Path, artifacts: Path) -> None:
    """Create the database complete or not at all, whoever else is doing the same.

    MLflow runs dozens of migrations on an empty database; two processes at it break each other,
    and locks are pretended on shared file systems. So each builds its own under a unique name,
    and the first to link it into place wins.
    """
    if database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temp = database.with_name(f".{uuid.uuid4().hex}.db")
    try:
        _build(temp, artifacts)
        try:
            os.link(temp, database)
        except FileExistsError:
            return
        except OSError as exc:
            if not database.exists():
                raise StoreError(
                    f"{database.parent}: this file system has no hard links",
                    "set CATALOG_HOME to a folder on a local disk",
                ) from exc
    finally:
        temp.unlink(missing_ok=True)


def _build(temp: Path, artifacts: Path) -> None:
    """Migrate an empty database that nobody else sees, and write it to the disk once, at the end.

    With a flush for each of the hundred statements it takes three times as long.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def no_flush(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection) and temp.name in _file_of(connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", no_flush)
    try:
        store = SqlAlchemyStore(f"sqlite:///{temp.as_posix()}", artifacts.as_uri())
        store.create_experiment(EXPERIMENT, artifact_location=artifacts.as_uri())
        store.engine.dispose()
    finally:
        event.remove(Engine, "connect", no_flush)
    with temp.open("r+b") as file:
        os.fsync(file.fileno())


def _file_of(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA database_list").fetchone()[2])


def _check_database(database: Path) -> None:
    """Say at once what is wrong with it: MLflow would try again for almost two minutes."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as exc:
        raise StoreError(
            f"{database}: {exc}", "restore it from a copy, or move it away to start a new one"
        ) from exc
