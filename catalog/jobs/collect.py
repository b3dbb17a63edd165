"""Bring a finished run home: its record into the adaptation log, its child into the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog.adapt.log import append_log, read_log
from catalog.errors import CheckFailed, UsageError
from catalog.index import open_index
from catalog.jobs.adaptation import CHILD
from catalog.jobs.attempts import read_attempts
from catalog.jobs.job import load_job
from catalog.jobs.launcher import Launcher, open_launcher
from catalog.jobs.node import JOB_FILE
from catalog.jobs.runs import Run, log_of, result_of, save, state_of
from catalog.publish import publish
from catalog.settings import Settings
from catalog.stores import open_named


def collect(run: Run, settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Record a finished run, publish its child if that was asked for and it helped; the result.

    Doing it twice is doing it once: the log knows a repeated experiment, the store a digest.

    Raises
    ------
    UsageError
        It has not finished.
    CheckFailed, StoreError, NotAuthorised, LaunchError
    """
    launcher = open_launcher(run.on)
    if run.handle and not launcher.shared:
        launcher.fetch(run.handle, run.folder)
    result = result_of(run)
    if result is None:
        raise _unfinished(run, launcher)
    _record(run, settings.home, launcher)
    helped = result["adapted"] < result["before"]
    child = run.child
    if run.publish and helped and not child:
        child = _publish(run.folder / CHILD, settings, say)
    elif run.publish and not helped:
        say(f"adapting made it worse ({result['before']:.3g} before, {result['adapted']:.3g} "
            "after): nothing is published")  # fmt: skip
    save(replace(run, collected=True, child=child))
    return {**result, "run": run.id, "folder": str(run.folder / CHILD), "published": child or None}


def _unfinished(run: Run, launcher: Launcher) -> UsageError:
    state = state_of(run, launcher)
    last = "\n".join(log_of(run).splitlines()[-5:])
    told = f"{run.id} is {state.name}" + (f" ({state.reason})" if state.reason else "")
    if state.name in ("queued", "running", "unknown"):
        return UsageError(f"{told}: there is nothing to collect yet", f"catalog runs logs {run.id}")
    return UsageError(
        f"{told}; it said last:\n{last}", f"go on with it: catalog runs resume {run.id}"
    )


def _record(run: Run, home: Path, launcher: Launcher) -> None:
    """The records of its own log, with where it ran and what that cost."""
    ours = {record.key for record in read_log(home)}
    theirs = [record for record in read_log(run.folder / "home") if record.key not in ours]
    hours = read_attempts(run.folder).seconds / 3600
    nodes = load_job(str(run.folder / JOB_FILE)).nodes
    rate, spent = launcher.usd_per_hour, sum(record.seconds for record in theirs)
    for record in theirs:  # the rival's share of the time is its share of the cost
        usd = None if rate is None else rate * nodes * hours * record.seconds / max(spent, 1e-9)
        append_log(home, [replace(record, where=run.on, usd=usd)])


def _publish(folder: Path, settings: Settings, say: Callable[[str], None]) -> str:
    if not folder.is_dir():
        raise CheckFailed(str(folder), ["the version that the run left is gone"])
    with open_index(settings) as index:
        made = publish(folder, open_named(settings.store), settings.store, index, say)
    return f"{made.version.name}@{made.version.version}"
