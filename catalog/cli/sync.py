"""catalog sync."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from catalog.cli import out
from catalog.errors import CatalogError
from catalog.index import open_index
from catalog.settings import load_settings
from catalog.store_check import all_stores, human_syncs
from catalog.store_names import config_file, read_names
from catalog.stores.named import open_named, store_name
from catalog.sync import sync


def run(
    stores: list[str] = typer.Argument(None, help="Names or URIs; all named stores if none."),
    full: bool = typer.Option(False, "--full", help="Read everything again, not what changed."),
    as_json: bool = out.JSON,
) -> None:
    """Bring the index up to date with the stores. Example: catalog sync lab"""
    settings, names = load_settings(), read_names(config_file())
    if settings.registry:
        from catalog.remote.verbs import sync_there

        tell = out.progress("reading")
        wanted_there: list[str | None] = [*stores] if stores else [None]
        asked = [sync_there(store, full, out.say, tell) for store in wanted_there]
        _end([it for told in asked for it in told], as_json)
        return
    with open_index(settings) as index:
        wanted = stores or all_stores(settings, index)
        told = []
        for name in (store_name(it, settings.store, names) for it in wanted):
            try:
                progress = out.progress(f"reading {name}")
                done = sync(
                    open_named(name, names), name, index, out.say, full=full, told=progress,
                    address=names.address_of(name),
                )  # fmt: skip
                told.append({**asdict(done), "error": None})
            except CatalogError as exc:  # the others are synced nevertheless
                out.say(f"{name}: {exc.message}" + (f"\n  next: {exc.hint}" if exc.hint else ""))
                told.append({"store": name, "versions": index.count(name), "error": exc.message})
    _end(told, as_json)


def _end(told: list[dict[str, Any]], as_json: bool) -> None:
    out.emit({"stores": told}, as_json, lambda: human_syncs(told))
    if any(it["error"] or it.get("unread") for it in told):
        raise typer.Exit(1)
