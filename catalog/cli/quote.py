"""catalog quote."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.data import BINNING, DETECTOR, PARTICLE, load_target
from catalog.cost.ask import Adapting, known_prices, quote_adaptation, quote_job
from catalog.cost.chart import check_picture, draw
from catalog.cost.present import as_dict, human
from catalog.cost.prices import refresh
from catalog.cost.quote import asked_for
from catalog.errors import UsageError
from catalog.jobs.job import load_job
from catalog.pull import find
from catalog.settings import load_settings


def run(
    model: str = typer.Argument(None, help="The parent: a reference, or a version folder."),
    data: Path = typer.Option(None, "--data", help="Showers that it would be adapted on."),
    job: str = typer.Option(None, "--job", help="A job file, or a shipped one, instead of both."),
    showers: int = typer.Option(300, help="Showers that adapting would use."),
    recipe: str = typer.Option(None, help="A shipped recipe or a YAML file; default: as measured."),
    deadline: str = typer.Option(None, help="Leave out what takes longer, e.g. 2h."),
    max_usd: float = typer.Option(None, "--max-usd", help="Leave out what costs more."),
    where: list[str] = typer.Option([], help="Only there: here, gcp, gcp:europe-west4 ..."),
    rates: Path = typer.Option(None, help="Your own prices, such as a computing centre's."),
    as_of: str = typer.Option(None, "--as-of", help="With the prices of then, e.g. 2022."),
    refreshed: str = typer.Option(
        None, "--refresh", help="Only keep this price table: file or https."
    ),
    plot: Path = typer.Option(None, "--plot", help="Draw money against time, as PNG or SVG."),
    every: bool = typer.Option(False, "--all", help="Also print offers that others beat."),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    as_json: bool = out.JSON,
) -> None:
    """Say what a job takes in time, money and CO2 on each offer; exit 3 if none fits."""
    settings = load_settings()
    if refreshed:
        return out.say("kept {}: {} rows".format(*refresh(settings.home, refreshed)))
    check_picture(plot)
    asked = asked_for(deadline, max_usd, where)
    prices = known_prices(settings, rates, as_of, out.say)
    if job:
        found = quote_job(load_job(job), prices, settings, asked)
    elif model and data:
        parent, target = find(model, settings), load_target(data, detector, particle, binning)
        work = Adapting(parent, target, data, showers, recipe)
        found = quote_adaptation(work, prices, settings, asked, out.say)
    else:
        raise UsageError("nothing to quote", "give REF --data F.h5, or --job FILE")
    if plot:
        out.say(draw(found, plot))
    return out.emit(as_dict(found), as_json, lambda: human(found, every))
