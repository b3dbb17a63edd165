"""catalog publish."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.index import open_index
from catalog.publish import publish
from catalog.refs import prefix_of
from catalog.settings import load_settings
from catalog.stores.named import open_named, store_name


def run(
    folder: Path = typer.Argument(
        help="Folder with card.yaml, model.onnx and what goes with them."
    ),
    store: str = typer.Option(None, help="Publish to this store, by name or URI."),
    as_json: bool = out.JSON,
) -> None:
    """Check a version folder and publish it. Example: catalog publish my-model/"""
    settings = load_settings()
    where = store_name(store, settings.store)
    with open_index(settings) as index:
        done = publish(folder, open_named(where), where, index, out.say)
    version = done.version
    prefix = prefix_of(where, settings.store, version.name)
    ref = f"{prefix}{version.name}@{version.version}"
    value = {
        "ref": ref, "name": version.name, "version": version.version,
        "digest": version.digest, "store": where, "new": done.new,
    }  # fmt: skip
    out.emit(value, as_json, lambda: f"{ref} {version.digest}")
    out.say("published" if done.new else "already published: nothing changed")
    out.say(f"  next: catalog pull {ref}")
