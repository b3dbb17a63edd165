"""Launchers: what starts a Job somewhere, and tells what became of it.

A launcher is a frozen value made of its settings; entry points of `catalog.launchers` name them.
The settings of your own places stand in launchers.yaml, beside the list of stores:

    launchers:
      gpu: {kind: slurm, partition: gpu, account: atlas, usd_per_hour: 0.9}

A launcher writes its engine's own specification into the run's folder before it submits, so that
everything can be read, and submitted by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, ValidationError

from catalog.domain.base import Frozen
from catalog.errors import BadFile, NotFound
from catalog.jobs.job import Job
from catalog.plugins import load_plugin
from catalog.store_names import config_file
from catalog.validation import explain

_FILE = "launchers.yaml"
_MAX_FILE = 200_000  # bytes
_HINT = "see docs/launch.md"
Name = Literal["ready", "queued", "running", "done", "failed", "cancelled", "lost", "unknown"]
# What ends up in an engine's own file: nothing that could end a line or a word there.
Plain = Annotated[str, Field(pattern=r"^[A-Za-z0-9_/][A-Za-z0-9_.:,=@/+-]{0,199}$")]


@dataclass(frozen=True)
class State:
    """What became of a job.

    ready : written, never started
    lost : it ended, and nobody knows how; unknown : nobody can be asked now
    """

    name: Name
    reason: str = ""


class Settings(Frozen):
    """What every place has.

    usd_per_hour : of one node, by which a finished run's cost is known; None: it stays unknown
    """

    usd_per_hour: Annotated[float, Field(ge=0, le=1e6)] | None = None


class Launcher(Protocol):
    """One engine. Every call may raise LaunchError or UsageError; none shows a traceback.

    shared : whether its machines see the files of this one
    """

    shared: bool
    usd_per_hour: float | None

    def spec(self, job: Job, folder: Path) -> dict[str, str]:
        """The engine's own files, by name: what `submit` will use."""
        ...

    def submit(self, folder: Path) -> str:
        """Start what `spec` wrote into `folder`; the engine's own name of it."""
        ...

    def state(self, handle: str, folder: Path) -> State:
        """What the engine says of it now."""
        ...

    def cancel(self, handle: str, folder: Path) -> None:
        """End it; it may leave a snapshot first."""
        ...

    def fetch(self, handle: str, folder: Path) -> None:
        """Bring its log and outputs into `folder`; nothing to do where files are shared."""
        ...


def open_launcher(name: str) -> Launcher:
    """A place of launchers.yaml by its name, or an installed launcher by its own, with no settings.

    Raises
    ------
    NotFound, MissingExtra, BadFile
    """
    path = config_file().with_name(_FILE)
    places = _read(path)
    told = dict(places.get(name, {"kind": name}))
    kind = told.pop("kind", None)
    if not isinstance(kind, str):
        raise BadFile(f"{path}: {name}: no `kind:`", _HINT)
    hint = f"name one of these, or a place of {path}: docs/launch.md"
    made = load_plugin("launchers", kind, what="launcher", extra=kind, hint=hint)
    try:
        launcher: Launcher = made(**told)
    except ValidationError as exc:
        raise BadFile(f"{path}: {name}: {'; '.join(explain(exc))}", _HINT) from exc
    return launcher


def _read(path: Path) -> dict[str, dict[str, Any]]:
    from catalog.strict_yaml import load_yaml

    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
        if len(data) > _MAX_FILE:
            raise ValueError(f"larger than {_MAX_FILE} bytes")
        document = load_yaml(data.decode())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise BadFile(f"{path}: {exc}", _HINT) from exc
    places = document.get("launchers") if isinstance(document, dict) else None
    if not isinstance(places, dict) or not all(isinstance(it, dict) for it in places.values()):
        raise BadFile(f"{path}: expected `launchers:` with one line of settings for each", _HINT)
    if unknown := set(document) - {"launchers"}:
        raise BadFile(f"{path}: unknown key {sorted(map(str, unknown))[0]!r}", _HINT)
    return places


def absent(what: str) -> NotFound:
    """No run, job or program of that name."""
    return NotFound(what, "catalog runs ls  shows what was launched")
