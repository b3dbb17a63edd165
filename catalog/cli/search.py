"""catalog search."""

from __future__ import annotations

from typing import Any

import typer

from catalog.cli import out
from catalog.errors import NotFound
from catalog.index import Query, Row, open_index
from catalog.index.query import parse_energy, parse_particle, particle_name
from catalog.settings import load_settings
from catalog.text import table


def run(
    text: list[str] = typer.Argument(None, help="Words to look for."),
    detector: str = typer.Option(None, help="A type (ecal, hcal, ...) or a name (clic-siw)."),
    material: str = typer.Option(None, help="A material of the stack, e.g. PbWO4."),
    particle: str = typer.Option(None, help="e-, gamma, pi+ ... or a PDG id."),
    energy: str = typer.Option(None, help="GeV the model must cover: 50 or 10..100."),
    task: str = typer.Option(None, help="shower-generation, energy-regression ..."),
    family: str = typer.Option(None, help="3dgan, cvae ..."),
    licence: str = typer.Option(None, help="SPDX identifier."),
    validated: bool = typer.Option(False, "--validated", help="Passed physics validation."),
    limit: int = typer.Option(100, min=1, max=10_000),
    as_json: bool = out.JSON,
) -> None:
    """Find models. Example: catalog search --detector ecal --particle e- --energy 50"""
    query = Query(
        text=" ".join(text or []), detector=detector, material=material,
        particle=parse_particle(particle) if particle else None,
        energy_gev=parse_energy(energy) if energy else None,
        task=task, family=family, licence=licence, validated=validated, limit=limit,
    )  # fmt: skip
    with open_index(load_settings().home) as index:
        total, rows = index.search(query)
    value = {"total": total, "models": [as_dict(row) for row in rows]}
    if rows or as_json:
        out.emit(value, as_json, lambda: human(rows))
    if not rows:
        raise NotFound("no model matches", "catalog search lists all; catalog demo adds samples")


def as_dict(row: Row) -> dict[str, Any]:
    """The JSON of one model."""
    return {
        "ref": row.ref, "name": row.name, "version": row.version, "store": row.store,
        "digest": row.digest, "task": row.task, "family": row.family, "detector": row.detector,
        "detector_type": row.detector_type, "particles": list(row.particles),
        "energy_gev": None if row.e_low is None else [row.e_low, row.e_high],
        "licence": row.licence, "validated": row.validated, "summary": row.summary,
    }  # fmt: skip


def human(rows: list[Row]) -> str:
    """The table of a search."""
    lines = [
        (
            row.ref, row.task or "undocumented", row.family or "-", row.detector or "-",
            " ".join(particle_name(pdg) for pdg in row.particles) or "-",
            "-" if row.e_low is None else f"{row.e_low:g}..{row.e_high:g}",
            "yes" if row.validated else "no",
        )
        for row in rows
    ]  # fmt: skip
    head = ("REF", "TASK", "FAMILY", "DETECTOR", "PARTICLES", "GEV", "VALIDATED")
    return table(head, lines)
