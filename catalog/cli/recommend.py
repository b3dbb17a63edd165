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
from catalog.settings import load_settings


def run(
    data: Path = DATA,
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    showers: int = typer.Option(300, min=1, help="Showers that adapting would use."),
    seed: int = typer.Option(0, help="Seed of the generated showers."),
    as_json: bool = out.JSON,
) -> Recommendation:
    """Rank models to adapt to your showers, beside training from scratch; exit 3 if none fits."""
    settings = load_settings()
    target = load_target(data, detector, particle, binning, showers)
    with open_index(settings.home) as index:
        found = recommend(target, index, settings, read_log(settings.home), out.say, seed)
    out.emit(as_dict(found), as_json, lambda: human(found, str(data)))
    if found.verdict == "nothing-fits":
        raise typer.Exit(3)
    return found
