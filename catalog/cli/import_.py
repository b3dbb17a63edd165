"""catalog import."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.interchange import import_version


def run(
    form: str = typer.Argument(metavar="FORMAT", help="huggingface or oci-artifact."),
    folder: Path = typer.Argument(help="What the other catalog exported."),
    to: Path = typer.Option(..., "--out", "-o", help="A new folder for the version."),
    card: Path = typer.Option(None, help="A card.yaml for a model that carries none."),
    as_json: bool = out.JSON,
) -> None:
    """Make a version folder of a foreign one. Example: catalog import huggingface hf/ -o my/"""
    checked = import_version(form, folder, to, card, out.say)
    digest = checked.manifest.digest
    value = {"name": checked.card.name, "digest": digest, "format": form, "path": str(to)}
    out.emit(value, as_json, lambda: str(to))
    out.say(f"{checked.card.name} {digest}")
    out.say(f"  next: catalog publish {to}")
