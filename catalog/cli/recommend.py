"""catalog recommend."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.data import BINNING, DATA, DETECTOR, PARTICLE, load_target
from catalog.cost.ask import known_prices, priced
from catalog.cost.quote import check_places
from catalog.index import open_index
from catalog.remote.verbs import known_runs
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
    where: list[str] = typer.Option([], help="Price adapting there: here, gcp, oci ..."),
    plot: Path = typer.Option(None, "--plot", help="Draw the ranking as a PNG picture."),
    seed: int = typer.Option(0, help="Seed of the generated showers."),
    as_json: bool = out.JSON,
) -> Recommendation:
    """Rank models to adapt to your showers, beside training from scratch; exit 3 if none fits."""
    settings = load_settings()
    prices = known_prices(settings, None, None, out.say)
    check_places(where, prices)  # before a minute of work
    if plot:
        from catalog.scoring.chart import check_picture

        check_picture(plot)  # before a minute of work
    target = load_target(data, detector, particle, binning, showers)
    with open_index(settings) as index:
        log = known_runs(settings)
        found = recommend(target, index, settings, log, out.say, seed, models, gradients)
    if plot:
        from catalog.scoring.chart import draw

        out.say(draw(found, plot))
    costs = priced(found, log, prices, where)
    out.emit(as_dict(found, costs), as_json, lambda: human(found, str(data), costs))
    if found.verdict == "nothing-fits":
        raise typer.Exit(3)
    return found
