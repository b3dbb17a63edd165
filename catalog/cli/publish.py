"""catalog publish."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.index import open_index
from catalog.publish import publish
from catalog.settings import load_settings
from catalog.stores import open_store


def run(
    folder: Path = typer.Argument(
        help="Folder with card.yaml, model.onnx and what goes with them."
    ),
    as_json: bool = out.JSON,
) -> None:
    """Check a version folder and publish it. Example: catalog publish my-model/"""
    settings = load_settings()
    with open_index(settings.home) as index:
        done = publish(folder, open_store(settings.store), settings.store, index, out.say)
    version = done.version
    ref = f"{version.name}@{version.version}"
    value = {
        "ref": ref, "name": version.name, "version": version.version,
        "digest": version.digest, "store": settings.store, "new": done.new,
    }  # fmt: skip
    out.emit(value, as_json, lambda: f"{ref} {version.digest}")
    out.say("published" if done.new else "already published: nothing changed")
    out.say(f"  next: catalog pull {ref}")
