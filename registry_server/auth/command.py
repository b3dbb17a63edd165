"""`catalog token`: who may come in over HTTP."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

import typer

from catalog.cli import out
from catalog.errors import NotFound, UsageError
from catalog.settings import load_settings
from catalog.text import table
from registry_server.auth.tokens import Token, create_token, list_tokens, revoke_token
from registry_server.database import open_database

_FORMS = "catalog token create NAME | ls | revoke ID-OR-NAME"


def token(
    action: Literal["create", "ls", "revoke"] = typer.Argument("ls", help=_FORMS),
    name: str = typer.Argument(None, help="Whose token it is; to revoke, also its id."),
    role: str = typer.Option("reader", help="reader, publisher or admin."),
    days: float = typer.Option(90, help="After how many days it expires."),
    as_json: bool = out.JSON,
) -> None:
    """Make, list and end API tokens of the server. Example: catalog token create maria"""
    if (name is None) != (action == "ls"):
        raise UsageError(f"catalog token {action}: a name is missing, or too many", _FORMS)
    with closing(open_database(load_settings())) as database:
        if action == "create":
            secret, made = create_token(database, name, role, days)
            out.emit({"token": secret, **_row(made)}, as_json, lambda: secret)
            out.say(f"{made.id}: {role} {name}, until {_day(made.expires)}; shown only this once")
            out.say("  next: export CATALOG_TOKEN=...    (send it: Authorization: Bearer TOKEN)")
            return
        found = revoke_token(database, name) if action == "revoke" else list_tokens(database)
    if found or as_json:
        out.emit({"tokens": [_row(it) for it in found]}, as_json, lambda: _human(found))
    if not found:
        raise NotFound("there are no tokens", "catalog token create NAME --role publisher")


def _row(it: Token) -> dict[str, Any]:
    return {**asdict(it), "state": it.state}


def _human(tokens: list[Token]) -> str:
    lines = [(t.id, t.name, t.role, _day(t.created), _day(t.expires), t.state) for t in tokens]
    return table(("ID", "NAME", "ROLE", "CREATED", "EXPIRES", "STATE"), lines)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
