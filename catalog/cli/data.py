"""The options that name a target, shared by recommend, adapt, train, report and validate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from catalog.cli import out
from catalog.domain import load_detector
from catalog.errors import UsageError
from catalog.index.query import parse_particle
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.showers.showerfile import ShowerFile, open_showers

DATA = typer.Option(..., "--data", help="Full-simulation showers; docs/data.md lists the formats.")
DETECTOR = typer.Option(None, "--detector", help="Detector name or YAML, if the file does not say.")
PARTICLE = typer.Option(None, "--particle", help="e-, gamma ..., if the file does not say.")
BINNING = typer.Option(None, "--binning", help="CaloChallenge XML of the cells of a flat file.")
SKIP = typer.Option(0, "--skip", min=0, help="Leave out the first SKIP showers (those adapted on).")


def told(detector: str | None, particle: str | None, binning: Path | None) -> dict[str, Any]:
    """What the user says about a file, as the readers take it."""
    return {
        "detector": load_detector(detector) if detector else None,
        "pdg": parse_particle(particle) if particle else None,
        "binning": binning,
    }


def load_target(
    data: Path,
    detector: str | None,
    particle: str | None,
    binning: Path | None,
    first: int | None = None,
) -> ShowerSet:
    """The first showers of a file, in memory."""
    return read_showers(data, **told(detector, particle, binning), limit=first)


def open_target(data: Path, asked: dict[str, Any], first: int | None, skip: int) -> ShowerFile:
    """Showers skip .. skip + first of a file, which stay in it."""
    limit = None if first is None else first + skip
    showers = open_showers(data, out.progress, **asked, limit=limit)
    if skip >= len(showers):
        raise UsageError(f"{data}: holds {len(showers)} showers, --skip {skip} leaves none")
    return showers.take(slice(skip, None))
