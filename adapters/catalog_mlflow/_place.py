"""Where an MLflow registry is, from the URI that the user gave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from catalog.address import shown
from catalog.errors import UsageError

_HINT = "use `mlflow` for the embedded registry, or mlflow+https://your.server"


@dataclass(frozen=True)
class Place:
    """One registry: a database with an artifact folder on this machine, or a server."""

    uri: str
    database: Path | None = None
    artifacts: Path | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"the MLflow server at {self.uri}" if self.artifacts is None else str(self.database)


def parse_place(uri: str, home: Path) -> Place:
    """Read `mlflow`, `mlflow:` or `mlflow+https://server`.

    Raises
    ------
    UsageError
        Anything else, and a URL that carries a password.
    """
    if uri in ("mlflow", "mlflow:"):
        return _embedded(home / "mlflow")
    url = uri.removeprefix("mlflow+")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises on nonsense
    except ValueError as exc:
        raise UsageError("the MLflow server's URL is malformed", _HINT) from exc
    if "@" in parts.netloc:
        raise UsageError(
            "the MLflow server's URL must not carry a user name or password",
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    known = url != uri and parts.scheme in ("http", "https") and parts.hostname
    if not known or parts.query or parts.fragment:
        raise UsageError(f"not an MLflow registry: {shown(uri)[:200]!r}", _HINT)
    return Place(url.rstrip("/"))


def _embedded(folder: Path) -> Place:
    folder = folder.absolute()
    if any(mark in str(folder) for mark in "?#%"):
        raise UsageError(
            f"{folder}: MLflow cannot keep a database in a folder with '?', '#' or '%' in its name",
            "set CATALOG_HOME to another folder",
        )
    database = folder / "mlflow.db"
    return Place(f"sqlite:///{database.as_posix()}", database, folder / "artifacts")
