"""catalog recommend."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.adapt.log import read_log
from catalog.cli import out
from catalog.cli.data import BINNING, DATA, DETECTOR, PARTICLE, load_target
from catalog.index import open_index
from catalog.scoring.present import as_dict, human
from catalog.scoring.recommend import Recommendation, recommend
from catalog.scoring.shortlist import PROBED
from catalog.settings import load_settings


def run(
    data: Path = DATA,
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    showers: int = typer.Option(300, min=1, help="Showers that adapting would use."),
    models: int = typer.Option(PROBED, min=1, help="Models to run; fingerprints choose them."),
    gradients: bool = typer.Option(
        False, "--probe", help="Also train the best three, and scratch, for a few steps."
    ),
    plot: Path = typer.Option(None, "--plot", help="Draw the ranking as a PNG picture."),
    seed: int = typer.Option(0, help="Seed of the generated showers."),
    as_json: bool = out.JSON,
) -> Recommendation:
    """Rank models to adapt to your showers, beside training from scratch; exit 3 if none fits."""
    settings = load_settings()
    if plot:
        from catalog.scoring.chart import check_picture

        check_picture(plot)  # before a minute of work
    target = load_target(data, detector, particle, binning, showers)
    with open_index(settings) as index:
        log = read_log(settings.home)
        found = recommend(target, index, settings, log, out.say, seed, models, gradients)
    if plot:
        from catalog.scoring.chart import draw

        out.say(draw(found, plot))
    out.emit(as_dict(found), as_json, lambda: human(found, str(data)))
    if found.verdict == "nothing-fits":
        raise typer.Exit(3)
    return found
