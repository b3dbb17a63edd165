"""catalog runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from catalog.adapt.log import merge_log, read_log
from catalog.cli import out
from catalog.errors import NotFound
from catalog.settings import load_settings
from catalog.text import number, table


def run(
    add: Path = typer.Option(None, help="First add the records of another log to yours."),
    as_json: bool = out.JSON,
) -> None:
    """List recorded adaptations: the evidence that recommendations rest on."""
    home = load_settings().home
    if add:
        out.say(f"added {merge_log(home, add)} records")
    records = read_log(home)
    head = (
        "DATE",
        "MODEL",
        "TARGET",
        "SHOWERS",
        "STEPS",
        "ZERO-SHOT",
        "REACHED",
        "FLOOR",
        "SECONDS",
    )
    rows = [
        (
            r.date, r.model_ref or f"scratch ({r.family})", r.target, str(r.showers), str(r.steps),
            number(r.zero_shot), number(r.reached), number(r.floor), f"{r.seconds:.0f}",
        )
        for r in records
    ]  # fmt: skip
    if records or as_json:
        out.emit({"runs": [asdict(r) for r in records]}, as_json, lambda: table(head, rows))
    if not records:
        raise NotFound("no adaptation is recorded yet", "catalog adapt REF --data F.h5")
