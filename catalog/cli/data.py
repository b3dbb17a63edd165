"""The options that name a target, shared by recommend, adapt and validate."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.domain import load_detector
from catalog.errors import UsageError
from catalog.index.query import parse_particle
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers

DATA = typer.Option(..., "--data", help="Full-simulation showers; docs/data.md lists the formats.")
DETECTOR = typer.Option(None, "--detector", help="Detector name or YAML, if the file does not say.")
PARTICLE = typer.Option(None, "--particle", help="e-, gamma ..., if the file does not say.")
SKIP = typer.Option(0, "--skip", min=0, help="Leave out the first SKIP showers (those adapted on).")


def load_target(
    data: Path, detector: str | None, particle: str | None, first: int | None, skip: int = 0
) -> ShowerSet:
    """Read showers skip .. skip + first of a file."""
    showers = read_showers(
        data,
        detector=load_detector(detector) if detector else None,
        pdg=parse_particle(particle) if particle else None,
        limit=None if first is None else first + skip,
    )
    if skip >= len(showers):
        raise UsageError(f"{data}: holds {len(showers)} showers, --skip {skip} leaves none")
    return showers.part(skip)
