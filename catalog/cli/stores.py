"""catalog stores."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from catalog import store_check, store_names
from catalog.cli import out
from catalog.errors import UsageError
from catalog.index import open_index
from catalog.remote.verbs import stores_there
from catalog.settings import load_settings
from catalog.store_names import Named, config_file, registry_told
from catalog.stores.registry import open_store

_FORMS = "catalog stores ls | add NAME URI | rm NAME | check [NAME]"


def run(
    action: Literal["ls", "add", "rm", "check"] = typer.Argument("ls", help=_FORMS),
    name: str = typer.Argument(None, help="What you call the store: lab"),
    uri: str = typer.Argument(None, help="mlflow+https://mlflow.example.org"),
    token_env: str = typer.Option("", help="Environment variable that holds the token."),
    login_env: str = typer.Option("", help="Environment variable that holds USER:PASSWORD."),
    keyring: str = typer.Option("", help="Service of the system's keyring that holds the token."),
    signed: bool = typer.Option(False, "--require-signature", help="Pull only what is signed."),
    public_key: Path = typer.Option(None, help="PEM file of whoever must have signed it."),
    default: bool = typer.Option(False, "--default", help="Use it where no store is named."),
    as_json: bool = out.JSON,
) -> None:
    """List, add, remove or try named stores. Example: catalog stores add lab mlflow+https://host"""
    if (action in ("add", "rm") and not name) or (uri is None) == (action == "add"):
        raise UsageError(f"catalog stores {action}: a NAME or URI is missing, or too many", _FORMS)
    if action == "ls" and registry_told():
        listed = stores_there()
        out.emit({"stores": listed}, as_json, lambda: store_check.human_stores(listed))
        return
    before = store_names.read_names(config_file()).stores.get(name)
    if action == "add":
        key = str(public_key.absolute()) if public_key else ""
        named = Named(uri, signed, token_env, login_env, keyring, key)
        store_names.check_named(name, named)
        open_store(uri)  # the adapter refuses what it cannot read; nothing is contacted
        store_names.add_store(config_file(), name, named, default)
    if action == "rm":
        store_names.remove_store(config_file(), name)
    settings = load_settings()
    with open_index(settings) as index:
        if before and action in ("add", "rm") and before.uri != uri:
            store_check.let_go(index, name, before.uri, settings.store)
        if action == "add":
            index.rename_store(uri, name)
        listed = store_check.list_stores(settings, index)
        if action == "check":
            checks = store_check.check_all([name] if name else [it["name"] for it in listed])
    if action == "check":
        out.emit({"stores": checks}, as_json, lambda: store_check.human_checks(checks))
        raise typer.Exit(store_check.exit_code(checks))
    out.emit({"stores": listed}, as_json, lambda: store_check.human_stores(listed))
    if action == "add":
        out.say(f"  next: catalog stores check {name}, then: catalog sync {name}")
