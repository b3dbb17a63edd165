"""Jobs that stand for a verb of the command line: verify and annotate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog.settings import Settings
from catalog.stores import Committed, open_named

Asked = dict[str, Any]
Tell = Callable[[int, int], None]


def verify(asked: Asked, settings: Settings, tell: Tell) -> dict[str, Any]:
    """What `catalog verify` prints with --json."""
    from catalog.index import open_index
    from catalog.signing import policy_of
    from catalog.verify_report import report

    where, one = asked["store"], asked["name"] is not None
    store, (required, key) = open_named(where), policy_of(where)
    with tempfile.TemporaryDirectory() as folder, open_index(settings) as index:
        if asked["public_key"]:
            key = Path(folder) / "public.pem"
            key.write_text(asked["public_key"], encoding="utf-8")
        wanted = [_version(asked)] if one else list(store.versions())
        return report(
            wanted, store, where, index, rule=(required or asked["required"], key),
            files=tell if one else _nothing, every=_nothing if one else tell,
        )  # fmt: skip


def annotate(asked: Asked, settings: Settings, tell: Tell) -> dict[str, Any]:
    """What `catalog annotate` prints with --json, and `unread`."""
    from catalog.annotate import annotate as give_card
    from catalog.annotate import as_dict
    from catalog.index import open_index
    from catalog.refs import prefix_of

    where = asked["store"]
    with tempfile.TemporaryDirectory() as folder, open_index(settings) as index:
        path = Path(folder) / "card.yaml"
        path.write_text(asked["card"], encoding="utf-8")
        done = give_card(_version(asked), path, open_named(where), where, index, tell)
    prefix = prefix_of(where, settings.store, done.version.name)
    made = f"{prefix}{done.version.name}@{done.version.version}"
    return {**as_dict(done, made, where), "unread": done.unread}


def _version(asked: Asked) -> Committed:
    return Committed(asked["name"], asked["version"], asked["digest"])


def _nothing(done: int, total: int) -> None:
    """Tell nothing."""
