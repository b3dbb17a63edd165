"""catalog validate."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.card import write_card
from catalog.cli import out
from catalog.cli.data import DATA, DETECTOR, PARTICLE, SKIP, load_target
from catalog.compat import cannot_generate, check_target
from catalog.errors import UsageError
from catalog.physics.present import as_dict, human
from catalog.physics.validate import compare
from catalog.pull import find
from catalog.seen import refuse_seen


def run(
    model: str = typer.Argument(
        help="name, name@3, name@sha256:..., or a version folder (with a /)."
    ),
    data: Path = DATA,
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    skip: int = SKIP,
    showers: int = typer.Option(None, min=1, help="Use at most this many showers."),
    seed: int = typer.Option(0, help="Seed of the generated showers."),
    record: bool = typer.Option(False, "--record", help="Write the result into the folder's card."),
    as_json: bool = out.JSON,
) -> None:
    """Compare a generator with full simulation it has not seen; exit 1 if a gate fails."""
    found = find(model)
    if record and found.version:
        raise UsageError("--record needs a folder: a published version never changes")
    target = load_target(data, detector, particle, showers, skip)
    check_target(target)
    if why := cannot_generate(found.card, target):
        raise UsageError(f"{found.ref} cannot be validated on {data.name}: {why}")
    refuse_seen({found.ref: found}, target, skip, "--skip")
    result = compare({found.ref: found}, target, seed)
    if record:
        card = found.card.model_copy(update={"physics": (result.record(found.ref),)})
        write_card(found.folder, card)
        out.say(f"recorded in {found.folder / 'card.yaml'}")
    out.emit(as_dict(result, found.ref), as_json, lambda: human(result, found.ref))
    if not result.record(found.ref).passed:
        raise typer.Exit(1)
