"""catalog adapt."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.adapt.adapt import child_name
from catalog.adapt.duration import parse_duration
from catalog.adapt.family import Running
from catalog.adapt.finish import adapt_and_compare
from catalog.adapt.recipe import load_recipe
from catalog.adapt.record import as_dict, human, keep
from catalog.adapt.version import unfinished
from catalog.cli import out
from catalog.cli.data import BINNING, DATA, DETECTOR, PARTICLE, load_target
from catalog.cli.launching import DEVICE, DRY, LIMIT, ON, SIZE, send
from catalog.cli.recipes import LIST
from catalog.cli.stopping import resumable
from catalog.pull import find, known_as
from catalog.settings import load_settings


def run(
    ctx: typer.Context,
    model: str = typer.Argument(help="The parent: a reference, or a version folder (with a /)."),
    data: Path = DATA,
    to: Path = typer.Option(None, "--out", help="New folder; default: the adapted model's name."),
    showers: int = typer.Option(300, min=1, help="Adapt on the first SHOWERS of the file."),
    recipe: str = typer.Option(None, help="A shipped recipe or a YAML file; default: as measured."),
    scratch: Path = typer.Option(None, help="Keep the rival trained from scratch in this folder."),
    alone: bool = typer.Option(False, "--no-scratch", help="Train no rival from scratch."),
    steps: int = typer.Option(None, min=1, help="Training steps; the same for both."),
    budget: str = typer.Option(None, help="Stop each training after this long, e.g. 2min."),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same bytes."),
    resume: bool = typer.Option(False, "--resume", help="Go on with a run that was stopped."),
    snapshot: str = typer.Option("1min", help="Time between snapshots, e.g. 30s."),
    result: Path = typer.Option(None, help="Also write the JSON to this file."),
    publish: bool = typer.Option(False, "--publish", help="Publish it, if it is better."),
    parent_ref: str = typer.Option(None, help="What MODEL, a folder, is called in the catalog."),
    on: str = ON,
    _size: str = SIZE,
    _device: str = DEVICE,
    _time: str = LIMIT,
    _dry_run: bool = DRY,
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    _listed: bool = LIST,
    as_json: bool = out.JSON,
) -> None:
    """Adapt a model to your showers and compare it, on unseen ones, with before and scratch."""
    settings, limit = load_settings(), parse_duration(budget) if budget else None
    parent, target = find(model, settings), load_target(data, detector, particle, binning)
    if on:
        send(ctx, parent, target, data, settings)
        return
    parent = known_as(parent, parent_ref)
    to, how = to or Path(child_name(parent, target)), load_recipe(recipe) if recipe else None
    with resumable(unfinished(to)):
        done = adapt_and_compare(
            parent, target, to, showers=showers, recipe=how, steps=steps, seed=seed,
            running=Running(resume=resume, budget_s=limit, snapshot_s=parse_duration(snapshot)),
            rival=not alone, scratch=scratch, told=out.progress,
        )  # fmt: skip
    if done is None:  # one of torchrun's other processes
        return
    child = keep(done, settings, publish, out.say)
    out.emit(as_dict(done, child), as_json, lambda: human(done, child), also=result)
    if not done.helped:
        raise typer.Exit(1)
