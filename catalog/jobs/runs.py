"""Launched runs: one folder each in CATALOG_HOME/runs, with all that is needed to go on."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.errors import BadFile, UsageError, cannot_write
from catalog.jobs.attempts import read_attempts
from catalog.jobs.launcher import Launcher, State, absent, open_launcher

RESULT_FILE, LOG_FILE = "result.json", "log.txt"
_RUN_FILE = "run.json"


@dataclass(frozen=True)
class Run:
    """One launched job.

    on : the place it was sent to; handle : its name there, "" before it was accepted
    cancelled, collected : what the user has done since; child : the reference of what was published
    """

    id: str
    folder: Path
    on: str
    what: str
    submitted: str
    handle: str = ""
    publish: bool = False
    cancelled: bool = False
    collected: bool = False
    child: str = ""


def new_run(home: Path, name: str, on: str, what: str, publish: bool) -> Run:
    """A new folder for a run; nothing is started."""
    place = home / "runs"
    try:
        place.mkdir(parents=True, exist_ok=True)
        folder = place / f"{name[:40]}-{secrets.token_hex(3)}"
        folder.mkdir(mode=0o700)
    except OSError as exc:
        raise cannot_write(place, exc) from exc
    run = Run(folder.name, folder, on, what, datetime.now(UTC).isoformat(timespec="seconds"),
              publish=publish)  # fmt: skip
    return save(run)


def save(run: Run) -> Run:
    """Write it down: killed at any moment, the old or the new state is there."""
    told = {key: value for key, value in asdict(run).items() if key not in ("id", "folder")}
    part = run.folder / f".{_RUN_FILE}.{os.getpid()}"
    try:
        part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        part.replace(run.folder / _RUN_FILE)
    except OSError as exc:
        raise cannot_write(run.folder / _RUN_FILE, exc) from exc
    return run


def all_runs(home: Path) -> list[Run]:
    """All of this user's, oldest first; what cannot be read is left out."""
    found = []
    for path in (home / "runs").glob(f"*/{_RUN_FILE}"):
        try:
            found.append(_read(path))
        except BadFile:
            continue
    return sorted(found, key=lambda run: (run.submitted, run.id))


def find_run(home: Path, told: str) -> Run:
    """The run of an id, or of the only id that begins so.

    Raises
    ------
    NotFound, UsageError
    """
    found = [run for run in all_runs(home) if run.id.startswith(told)]
    exact = [run for run in found if run.id == told]
    if not found:
        raise absent(f"no run {told!r} was launched from here")
    if len(found) > 1 and not exact:
        raise UsageError(f"{told!r} may be {', '.join(run.id for run in found[:5])}",
                         "type more of it")  # fmt: skip
    return (exact or found)[0]


def state_of(run: Run, launcher: Launcher | None = None) -> State:
    """What became of it: its result if there is one, else what its engine and its node say."""
    if result_of(run) is not None:
        return State("done")
    if not run.handle:
        return State("ready")
    try:
        told = (launcher or open_launcher(run.on)).state(run.handle, run.folder)
    except Exception as exc:  # noqa: BLE001  a list of runs must not end at one bad place
        told = State("unknown", str(getattr(exc, "message", exc))[:200])
    if run.cancelled and told.name in ("failed", "lost", "done"):
        return State("cancelled")
    if told.name == "done":  # no result: it cannot have been an adaptation that went well
        return State("failed", f"it ended without {RESULT_FILE}")
    return told


def result_of(run: Run) -> dict[str, Any] | None:
    """The JSON its adaptation left, None while there is none."""
    try:
        found = json.loads((run.folder / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def submit(run: Run, launcher: Launcher) -> Run:
    """Start what lies in its folder, for the first time or again."""
    handle = launcher.submit(run.folder)
    return save(replace(run, handle=handle, cancelled=False))


def resume(run: Run) -> Run:
    """Start a run that has ended without a result again; it goes on from its snapshot.

    Raises
    ------
    UsageError
        It has a result, or is still under way.
    """
    launcher = open_launcher(run.on)
    state = state_of(run, launcher)
    if state.name in ("queued", "running", "done", "unknown"):
        raise UsageError(f"{run.id} is {state.name}: there is nothing to resume",
                         f"catalog runs status {run.id}")  # fmt: skip
    return submit(run, launcher)


def cancel(run: Run) -> Run:
    """End it, if it has not ended."""
    launcher = open_launcher(run.on)
    if state_of(run, launcher).name in ("queued", "running", "unknown"):
        launcher.cancel(run.handle, run.folder)
        return save(replace(run, cancelled=True))
    return run


def log_of(run: Run) -> str:
    """What it has said so far."""
    launcher = open_launcher(run.on)
    if run.handle and not launcher.shared:
        launcher.fetch(run.handle, run.folder)
    path = run.folder / LOG_FILE
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def facts(run: Run) -> dict[str, Any]:
    """One run as `catalog runs ls --json` tells it."""
    state, attempts = state_of(run), read_attempts(run.folder)
    return {
        "id": run.id,
        "what": run.what,
        "on": run.on,
        "handle": run.handle,
        "state": state.name,
        "reason": state.reason,
        "submitted": run.submitted,
        "attempts": attempts.count,
        "seconds": round(attempts.seconds, 1),
        "collected": run.collected,
        "child": run.child,
        "folder": str(run.folder),
    }


def _read(path: Path) -> Run:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Run(id=path.parent.name, folder=path.parent, **told)
    except (OSError, ValueError, TypeError) as exc:
        raise BadFile(f"{path}: not a run: {exc}") from exc
