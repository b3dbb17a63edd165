"""Long work that a registry does: ask for it, follow it, leave it when we are stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from catalog.errors import CatalogError, StoreError
from catalog.remote.client import Client, Query

Tell = Callable[[int, int], None]
Say = Callable[[str], None]
_LOOK = (0.2, 0.5, 1.0, 2.0)  # seconds between two looks; the last for as long as it takes


def do_there(
    client: Client, method: str, path: str, asked: Any, say: Say, tell: Tell,
    query: Query | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Have a job done; what the verb prints with --json.

    Raises
    ------
    CatalogError
        In the words of the job, or of the registry.
    """
    job = client.json(method, path, query, asked, again=False)
    try:
        return _follow(client, job, say, tell)
    except BaseException:
        with suppress(CatalogError):  # it may be over, or the server gone
            client.json("POST", f"/jobs/{job['id']}/cancel")
        raise


def _follow(client: Client, job: dict[str, Any], say: Say, tell: Tell) -> dict[str, Any]:
    looks, said = iter(_LOOK), None
    while job["state"] in ("queued", "running"):
        time.sleep(next(looks, _LOOK[-1]))
        job = client.json("GET", f"/jobs/{job['id']}")
        progress = job["progress"]
        if progress != said:
            said = progress
            if progress["message"]:
                say(progress["message"])
            if progress["total"]:
                tell(progress["done"], progress["total"])
    if job["state"] == "done":
        result: dict[str, Any] = job["result"]
        return result
    error = job["error"] or {"message": f"the job was {job['state']}", "hint": "ask again"}
    raise StoreError(error["message"], error["hint"])
