"""catalog search."""

from __future__ import annotations

import typer

from catalog.cli import out
from catalog.errors import NotFound
from catalog.index import Query, open_index
from catalog.index.present import as_dict, human
from catalog.index.query import parse_energy, parse_particle
from catalog.settings import load_settings


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
    store: str = typer.Option(None, help="Only this store, by name."),
    gone: bool = typer.Option(False, "--gone", help="Only what was deleted in its store."),
    limit: int = typer.Option(100, min=1, max=10_000),
    as_json: bool = out.JSON,
) -> None:
    """Find models. Example: catalog search --detector ecal --particle e- --energy 50"""
    query = Query(
        text=" ".join(text or []), detector=detector, material=material,
        particle=parse_particle(particle) if particle else None,
        energy_gev=parse_energy(energy) if energy else None,
        task=task, family=family, licence=licence, validated=validated, store=store, gone=gone,
        limit=limit,
    )  # fmt: skip
    settings = load_settings()
    with open_index(settings) as index:
        total, found = index.search(query, settings.store)
        rows = list(zip(found, index.all_places(found), strict=True))
    exact = total <= query.counted
    value = {"total": total, "total_is_exact": exact, "models": [as_dict(*row) for row in rows]}
    if rows or as_json:
        out.emit(value, as_json, lambda: human(rows))
    if not rows:
        raise NotFound("no model matches", "catalog search lists all; catalog demo adds samples")
