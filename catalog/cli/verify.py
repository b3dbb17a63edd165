"""catalog verify."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.telling import progress_of
from catalog.errors import UsageError
from catalog.index import open_index
from catalog.pull import resolve
from catalog.remote.verbs import verify_there
from catalog.settings import load_settings
from catalog.signing import policy
from catalog.stores.named import open_named, store_of
from catalog.verify_report import human, report


def run(
    ref: str = typer.Argument(None, help="name, name@3, name@champion or name@sha256:..."),
    every: bool = typer.Option(False, "--all", help="Every version of the store."),
    store: str = typer.Option(None, help="The store to read, by name or URI."),
    public_key: Path = typer.Option(None, help="PEM file: whose signatures must hold."),
    as_json: bool = out.JSON,
) -> None:
    """Read the files of a store again and compare digests. Example: catalog verify vae-sim@1"""
    if (ref is None) != every:
        raise UsageError("verify one version, or all", "catalog verify NAME, or: verify --all")
    settings = load_settings()
    where = store_of(ref, "--store", store, settings.store)
    files, every_one = progress_of(ref)
    with open_index(settings) as index:
        one = resolve(ref, index, where) if ref else None
        if settings.registry:
            progress = files if ref else every_one
            value = verify_there(one, where, public_key, out.say, progress)
        else:
            opened = open_named(where)
            required, key = policy(replace(settings, store=where, public_key=public_key))
            value = report(
                [one] if one else list(opened.versions()), opened, where, index,
                rule=(required or public_key is not None, key), files=files, every=every_one,
            )  # fmt: skip
    if bare := value.pop("bare"):
        out.say(f"{bare} registered by other means: no manifest to verify them by")
    out.emit(value, as_json, lambda: human(value["versions"]))
    if not value["sound"]:
        raise typer.Exit(1)
