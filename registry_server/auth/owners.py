"""Whose model it is: who published it first. An admin can give it to somebody else."""

from __future__ import annotations

import time

from registry_server.auth.caller import Caller, Forbidden
from registry_server.database import Database


class Owners:
    """Owners of models by store and name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, store: str, model: str) -> str | None:
        """The caller's name that owns it; None if nobody does."""
        sql = "SELECT owner FROM owners WHERE store = ? AND model = ?"
        return next((row["owner"] for row in self._database.rows(sql, store, model)), None)

    def check(self, caller: Caller, store: str, model: str, *, exists: bool) -> None:
        """Whether this caller may change the model.

        A model that `exists` but was put into the store by other means belongs to nobody, and so
        only an admin may change it.

        Raises
        ------
        Forbidden
        """
        if caller.may("admin"):
            return
        owner = self.of(store, model)
        if owner == caller.name or (owner is None and not exists):
            return
        raise Forbidden(
            f"{model!r} belongs to {'somebody else' if owner else 'nobody'}",
            "publish under another name, or ask an admin: PUT /api/v1/models/NAME/owner",
        )

    def claim(self, caller: Caller, store: str, model: str) -> bool:
        """Make it the caller's if it is nobody's yet; whether this call did."""
        sql = "INSERT INTO owners VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return bool(self._database.run(sql, store, model, caller.name, time.time()))

    def release(self, caller: Caller, store: str, model: str) -> None:
        """Give up a claim to what was not published after all."""
        sql = "DELETE FROM owners WHERE store = ? AND model = ? AND owner = ?"
        self._database.run(sql, store, model, caller.name)

    def give(self, store: str, model: str, owner: str) -> None:
        """Change the owner."""
        sql = (
            "INSERT INTO owners VALUES (?, ?, ?, ?) ON CONFLICT (store, model) "
            "DO UPDATE SET owner = excluded.owner, since = excluded.since"
        )
        self._database.run(sql, store, model, owner, time.time())
