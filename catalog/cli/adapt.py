"""catalog adapt."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import typer

from catalog.adapt.adapt import adapt, unseen
from catalog.adapt.compare import compare
from catalog.adapt.log import append_log
from catalog.adapt.record import Finished, as_dict, human, records
from catalog.cli import out
from catalog.cli.data import DATA, DETECTOR, PARTICLE, load_target
from catalog.pull import find, read_folder
from catalog.seen import refuse_seen
from catalog.settings import load_settings


def run(
    model: str = typer.Argument(help="The parent: a reference, or a version folder (with a /)."),
    data: Path = DATA,
    to: Path = typer.Option(..., "--out", help="New folder for the adapted version."),
    showers: int = typer.Option(300, min=1, help="Adapt on the first SHOWERS of the file."),
    scratch: Path = typer.Option(None, help="Also train from scratch, into this new folder."),
    steps: int = typer.Option(800, min=1, help="Training steps; the same for both."),
    seed: int = typer.Option(0, help="The same seed gives the same bytes."),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    as_json: bool = out.JSON,
) -> None:
    """Adapt a model to your showers and compare it, on unseen ones, with before and scratch."""
    settings = load_settings()
    parent, target = find(model, settings), load_target(data, detector, particle, None)
    refuse_seen({parent.ref: parent}, unseen(target, showers), showers)  # before any training
    train = partial(adapt, parent, target, showers=showers, steps=steps, seed=seed)
    adapted = train(out=to, progress=out.progress("adapting"))
    rival = None
    if scratch:
        rival = train(out=scratch, strategy="scratch", progress=out.progress("from scratch"))
    other = read_folder(scratch) if scratch else None
    gain = compare(parent, read_folder(to), target, showers=showers, scratch=other, seed=seed)
    done = Finished(parent, target, adapted, rival, gain)
    append_log(settings.home, records(done))
    out.emit(as_dict(done), as_json, lambda: human(done))
    if not done.helped:
        raise typer.Exit(1)
