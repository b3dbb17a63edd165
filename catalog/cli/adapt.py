"""catalog adapt."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.adapt.adapt import child_name
from catalog.adapt.duration import parse_duration
from catalog.adapt.finish import adapt_and_compare
from catalog.adapt.log import append_log
from catalog.adapt.recipe import load_recipe
from catalog.adapt.record import as_dict, human, publish_child, records
from catalog.cli import out
from catalog.cli.data import BINNING, DATA, DETECTOR, PARTICLE, load_target
from catalog.cli.recipes import LIST
from catalog.pull import find
from catalog.settings import load_settings


def run(
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
    publish: bool = typer.Option(False, "--publish", help="Publish it, if it is better."),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    _listed: bool = LIST,
    as_json: bool = out.JSON,
) -> None:
    """Adapt a model to your showers and compare it, on unseen ones, with before and scratch."""
    settings, limit = load_settings(), parse_duration(budget) if budget else None
    how = load_recipe(recipe) if recipe else None
    parent, target = find(model, settings), load_target(data, detector, particle, binning)
    done = adapt_and_compare(
        parent, target, to or Path(child_name(parent, target)), showers=showers, recipe=how,
        steps=steps, seed=seed, budget_s=limit, rival=not alone, scratch=scratch, told=out.progress,
    )  # fmt: skip
    append_log(settings.home, records(done))
    child = publish_child(done, settings, out.say) if publish else None
    out.emit(as_dict(done, child), as_json, lambda: human(done, child))
    if not done.helped:
        raise typer.Exit(1)
