"""catalog runs."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.errors import NotFound, UsageError
from catalog.jobs import present
from catalog.jobs.collect import collect
from catalog.jobs.runs import all_runs, cancel, facts, find_run, log_of, resume
from catalog.remote.verbs import add_runs, known_runs
from catalog.settings import load_settings

_ONE = {"cancel": cancel, "resume": resume}
_WORDS = "ls | status ID | logs ID | cancel ID | resume ID | collect ID"


def run(
    action: str = typer.Argument("", help="ls, status, logs, cancel, resume, collect; or nothing."),
    which: str = typer.Argument("", metavar="ID", help="A launched run; its first letters do."),
    add: Path = typer.Option(None, help="First add the records of another log to yours."),
    as_json: bool = out.JSON,
) -> None:
    """List recorded adaptations; or launched runs (ls), and what to do with one of them.

    collect records a finished run, and publishes its child if it was launched with --publish.
    """
    settings = load_settings()
    if add:
        out.say(f"added {add_runs(settings, add)} records")
    if not action:
        value, human = present.recorded(known_runs(settings))
        if value["runs"] or as_json:
            out.emit(value, as_json, human)
        if not value["runs"]:
            raise NotFound("no adaptation is recorded yet", "catalog adapt REF --data F.h5")
        return
    if action == "ls":
        launched = [facts(found) for found in all_runs(settings.home)]
        out.emit({"launched": launched}, as_json, lambda: present.many(launched))
        return
    if action not in ("status", "logs", "collect", *_ONE) or not which:
        raise UsageError(f"catalog runs {action}: what is that, or of which run?", _WORDS)
    found = find_run(settings.home, which)
    if action == "logs":
        out.emit({"id": found.id, "log": (text := log_of(found))}, as_json, lambda: text)
    elif action == "collect":
        done = collect(found, settings, out.say)
        out.emit(done, as_json, lambda: present.collected(done))
    else:
        told = facts(_ONE[action](found) if action in _ONE else found)
        out.emit(told, as_json, lambda: present.one(told))
