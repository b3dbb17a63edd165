"""catalog alias."""

from __future__ import annotations

import typer

from catalog.aliases import as_dict, assign, human, remove
from catalog.cli import out
from catalog.errors import NotFound, UsageError
from catalog.index import open_index
from catalog.pull import resolve
from catalog.refs import parse_ref
from catalog.settings import load_settings
from catalog.stores import open_named


def run(
    ref: str = typer.Argument(help="NAME lists its aliases; NAME@3 is the version to name."),
    alias: str = typer.Argument(None, help="champion, challenger, production ..."),
    rm: str = typer.Option(None, "--rm", metavar="ALIAS", help="Remove this alias of NAME."),
    as_json: bool = out.JSON,
) -> None:
    """List, set or remove aliases. Example: catalog alias vae-sim@2 champion"""
    settings, wanted = load_settings(), parse_ref(ref)
    where = wanted.store or settings.store
    if rm and alias:
        raise UsageError("either set one alias or remove one", f"catalog alias {wanted.name}")
    if alias and ref.partition("@")[1] == "":
        raise UsageError(
            f"which version of {wanted.name} shall be {alias}?",
            f"catalog alias {wanted.name}@1 {alias}",
        )
    store = open_named(where)
    with open_index(settings) as index:
        if alias:
            version = resolve(ref, index, settings.store)
            before = assign(version, alias, store, where, index, settings.protected)
            was = f" (it was {wanted.name}@{before})" if before else ""
            out.say(f"{version.name}@{version.version} is now {alias}{was}")
        if rm:
            remove(wanted.name, rm, store, where, index)
            out.say(f"{rm} of {wanted.name} is removed")
    value = as_dict(wanted.name, list(store.aliases(wanted.name)), settings.protected)
    if value["aliases"] or as_json:
        out.emit(value, as_json, lambda: human(value))
    elif not rm:
        raise NotFound(f"{wanted.name} has no aliases", f"catalog alias {wanted.name}@1 champion")
