"""catalog replicate."""

from __future__ import annotations

from typing import Any

import typer

from catalog.cli import out
from catalog.cli.telling import progress_of
from catalog.errors import NotFound, UsageError
from catalog.index import open_index
from catalog.pull import resolve
from catalog.replicate import choose, copy_aliases, open_sides, replicate
from catalog.replicate_report import as_dict, human, planned
from catalog.settings import load_settings
from catalog.stores.named import store_name, store_of


def run(
    ref: str = typer.Argument(None, help="name, name@3, name@champion or name@sha256:..."),
    to: str = typer.Option(..., help="The store to replicate to, by name or URI."),
    source: str = typer.Option(None, "--from", help="The store that has it, by name or URI."),
    every: bool = typer.Option(False, "--all", help="Every version that fits --filter."),
    pattern: str = typer.Option("*", "--filter", help="Of --all: names that fit, e.g. 'vae-*'."),
    aliases: bool = typer.Option(
        False, "--aliases", help="Set the aliases of the source over there, too."
    ),
    mend: bool = typer.Option(
        False, "--mend", help="Read what is there, and send damaged files again."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be sent."),
    as_json: bool = out.JSON,
) -> None:
    """Copy versions to another store, with their digest. Example: catalog replicate a@1 --to lab"""
    if (ref is None) != every:
        raise UsageError("replicate one version, or all", "catalog replicate NAME@1 --to STORE")
    settings = load_settings()
    here = store_of(ref, "--from", source, settings.store)
    there = store_name(to, settings.store)
    one, two = open_sides(here, there)
    rows: list[dict[str, Any]] = []
    with open_index(settings) as index:
        versions = choose(one.store, pattern) if every else [resolve(ref, index, here)]
        files, all_versions = progress_of(ref)
        for number, version in enumerate(versions, start=1):
            if dry_run:
                rows.append(planned(version, one, two))
                continue
            done = replicate(version, one, two, index, out.say, files, mend=mend)
            given = []
            if aliases:
                given = copy_aliases(done, one, two, index, settings.protected, out.say)
            rows.append(as_dict(done, given))
            all_versions(number, len(versions))
    value = {"from": here, "to": there, "dry_run": dry_run, "versions": rows}
    out.emit(value, as_json, lambda: human(rows))
    if not rows:
        raise NotFound(f"no version in {here} fits {pattern!r}", f"catalog search --store {here}")
