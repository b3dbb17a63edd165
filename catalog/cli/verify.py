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
from catalog.settings import load_settings
from catalog.signing import policy
from catalog.stores.named import open_named, store_of
from catalog.verify import verify_version
from catalog.verify_report import as_dict, human


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
    opened = open_named(where)
    required, key = policy(replace(settings, store=where, public_key=public_key))
    with open_index(settings) as index:
        versions = [resolve(ref, index, where)] if ref else list(opened.versions())
        known = [it for it in versions if it.digest]
        files, all_versions = progress_of(ref)
        results = []
        for version in known:
            found = verify_version(opened, version, files, key)
            results.append(as_dict(found, where, index, required or public_key is not None))
            all_versions(len(results), len(known))
    if len(known) < len(versions):
        bare = len(versions) - len(known)
        out.say(f"{bare} registered by other means: no manifest to verify them by")
    value = {"store": where, "sound": all(it["sound"] for it in results), "versions": results}
    out.emit(value, as_json, lambda: human(results))
    if not value["sound"]:
        raise typer.Exit(1)
