"""catalog adapt."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import typer

from catalog.adapt.adapt import adapt, unseen
from catalog.adapt.compare import compare
from catalog.adapt.duration import parse_duration
from catalog.adapt.log import append_log
from catalog.adapt.recipe import default_recipe, load_recipe
from catalog.adapt.record import Finished, as_dict, human, publish_child, records
from catalog.cli import out
from catalog.cli.data import DATA, DETECTOR, PARTICLE, load_target
from catalog.cli.recipes import LIST
from catalog.pull import find, read_folder
from catalog.seen import refuse_seen
from catalog.settings import load_settings


def run(
    model: str = typer.Argument(help="The parent: a reference, or a version folder (with a /)."),
    data: Path = DATA,
    to: Path = typer.Option(..., "--out", help="New folder for the adapted version."),
    showers: int = typer.Option(300, min=1, help="Adapt on the first SHOWERS of the file."),
    recipe: str = typer.Option(None, help="A shipped recipe or a YAML file; default: as measured."),
    scratch: Path = typer.Option(None, help="Also train from scratch, into this new folder."),
    steps: int = typer.Option(None, min=1, help="Training steps; the same for both."),
    budget: str = typer.Option(None, help="Stop each training after this long, e.g. 2min."),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same bytes."),
    publish: bool = typer.Option(False, "--publish", help="Publish it, if it is better."),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    _listed: bool = LIST,
    as_json: bool = out.JSON,
) -> None:
    """Adapt a model to your showers and compare it, on unseen ones, with before and scratch."""
    settings, limit = load_settings(), parse_duration(budget) if budget else None
    how = load_recipe(recipe) if recipe else None
    parent, target = find(model, settings), load_target(data, detector, particle, None)
    refuse_seen({parent.ref: parent}, unseen(target, showers), showers)  # before any training
    train = partial(adapt, parent, target, showers=showers, seed=seed, budget_s=limit)
    adapted = train(out=to, recipe=how, steps=steps, progress=out.progress("adapting"))
    rival, other = None, None
    if scratch:
        fresh = default_recipe(parent.card.family or "", showers, scratch=True)
        told = out.progress("from scratch")
        rival = train(out=scratch, recipe=fresh, steps=adapted.steps, progress=told)
        other = read_folder(scratch)
    gain = compare(parent, read_folder(to), target, showers=showers, scratch=other, seed=seed)
    done = Finished(parent, target, adapted, rival, gain)
    append_log(settings.home, records(done))
    child = publish_child(done, settings, out.say) if publish else None
    out.emit(as_dict(done, child), as_json, lambda: human(done, child))
    if not done.helped:
        raise typer.Exit(1)
