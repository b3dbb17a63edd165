"""catalog show."""

from __future__ import annotations

import typer

from catalog.cli import out
from catalog.index import open_index
from catalog.pull import resolve
from catalog.refs import parse_ref
from catalog.settings import load_settings
from catalog.showcase import describe, page


def run(
    ref: str = typer.Argument(help="name, name@3 or name@sha256:..."),
    as_json: bool = out.JSON,
) -> None:
    """Show a model: domain, tensors, lineage, physics. Example: catalog show vae-pbwo4"""
    settings = load_settings()
    with open_index(settings) as index:
        version = resolve(ref, index, settings.store, gone=True)
        where = parse_ref(ref).store or settings.store
        value = describe(version, index, where, settings.store)
    out.emit(value, as_json, lambda: page(value))
