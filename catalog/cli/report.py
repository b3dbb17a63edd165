"""catalog report."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.data import BINNING, DATA, DETECTOR, PARTICLE, load_target
from catalog.index import open_index
from catalog.pull import find
from catalog.report.build import Asked, build_report
from catalog.report.folder import write_report
from catalog.settings import load_settings


def run(
    model: str = typer.Argument(
        help="An adapted model: a reference, or a version folder (with a /)."
    ),
    data: Path = DATA,
    to: Path = typer.Option(Path("report.html"), "--out", help="The HTML file to write."),
    showers: int = typer.Option(300, min=1, help="How many it was adapted on."),
    scratch: Path = typer.Option(None, help="Folder of the model trained from scratch."),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    seed: int = typer.Option(0, help="Seed of the generated showers."),
    as_json: bool = out.JSON,
) -> None:
    """Write one HTML file: before, after and scratch on unseen showers, with plots and costs."""
    settings = load_settings()
    child = find(model, settings)
    target = load_target(data, detector, particle, binning)
    commands = (
        f"catalog recommend --data {data} --showers {showers}",
        f"catalog report {model} --data {data} --showers {showers}"
        + (f" --scratch {scratch}" if scratch else ""),
    )
    with open_index(settings) as index:
        asked = Asked(child, target, showers, scratch, commands, seed)
        write_report(to, build_report(asked, index, settings, out.say))
    out.emit({"report": str(to.absolute())}, as_json, lambda: str(to.absolute()))
