"""The options of `catalog adapt` that send it elsewhere, and what they do."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from catalog.cli import out
from catalog.errors import UsageError
from catalog.jobs import present
from catalog.jobs.adaptation import Asked, launch, stage
from catalog.jobs.launcher import open_launcher
from catalog.jobs.runs import facts
from catalog.pull import Pulled
from catalog.settings import Settings
from catalog.showers import ShowerSet

ON = typer.Option(None, "--on", help="Launch it there: local, slurm, or a place of launchers.yaml.")
SIZE = typer.Option("1x1", "--size", help="With --on: nodes x devices of each, e.g. 2x4.")
DEVICE = typer.Option(None, "--device", help="With --on: the device, e.g. V100; default CPU cores.")
LIMIT = typer.Option(None, "--time", help="With --on: the time to ask for, e.g. 2h.")
DRY = typer.Option(False, "--dry-run", help="With --on: write the engine's files, start nothing.")
# What decides where it runs and what is done after, not what is trained.
_HERE = {"model", "data", "to", "scratch", "resume", "result", "publish", "parent_ref", "on",
         "_size", "_device", "_time", "_dry_run", "as_json", "_listed"}  # fmt: skip


def send(
    ctx: typer.Context, parent: Pulled, target: ShowerSet, data: Path, settings: Settings
) -> None:
    """Launch what `ctx` was asked for at `--on`, and tell how to follow it."""
    told = ctx.params
    found = re.fullmatch(r"(\d{1,6})(?:x(\d{1,4}))?", told["_size"])
    if not found or not int(found[1]) or found[2] == "0":
        raise UsageError(f"--size {told['_size']!r} is no number of nodes x devices", "--size 2x4")
    asked = Asked(told["on"], int(found[1]), int(found[2] or 1), told["_device"], told["_time"])
    launcher = open_launcher(asked.on)
    run = stage(settings.home, parent, target, data, _again(ctx), asked, launcher, told["publish"])
    if not told["_dry_run"]:
        run = launch(run, launcher)
    value = facts(run)
    value["files"] = sorted(path.name for path in run.folder.iterdir() if path.is_file())
    out.emit(value, told["as_json"], lambda: present.launched(value))


def _again(ctx: typer.Context) -> list[str | Path]:
    """The options that decide what is trained, as words; a file as a Path."""
    words: list[str | Path] = []
    for option in ctx.command.params:
        value = ctx.params.get(option.name or "")
        if option.name in _HERE or value is None or value is False:
            continue
        words.append(option.opts[0])
        if value is not True:
            words.append(Path(value) if Path(str(value)).is_file() else str(value))
    return words
