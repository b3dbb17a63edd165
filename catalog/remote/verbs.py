"""Verbs that a registry does where the stores are, and the runs that it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.errors import BadFile, StoreError
from catalog.remote.client import pages, part
from catalog.remote.connect import connect
from catalog.remote.jobs import do_there
from catalog.signing import policy_of

if TYPE_CHECKING:
    from catalog.adapt.log import Adaptation
    from catalog.settings import Settings
    from catalog.stores.protocol import Committed

Tell = Callable[[int, int], None]
Say = Callable[[str], None]
_AT_ONCE = 500  # records in a request


def sync_there(store: str | None, full: bool, say: Say, tell: Tell) -> list[dict[str, Any]]:
    """Have the registry sync one of its stores, or all; the JSON of `catalog sync`."""
    asked = {"store": store, "full": full}
    told: list[dict[str, Any]] = do_there(connect(), "POST", "/sync", asked, say, tell)["stores"]
    return told


def stores_there() -> list[dict[str, Any]]:
    """The JSON of `catalog stores ls`; addresses and credentials are the registry's own affair."""
    listed = connect().json("GET", "/stores")["stores"]
    return [{**it, "uri": "", "credential": None} for it in listed]


def verify_there(
    version: Committed | None, store: str, public_key: Path | None, say: Say, tell: Tell
) -> dict[str, Any]:
    """Have the registry read one version again, or a whole store; the JSON of `catalog verify`."""
    required, key = policy_of(store)
    key = public_key or key
    asked = {
        "name": version.name if version else None,
        "version": version.version if version else None,
        "store": store,
        "public_key": _text(key) if key else "",
        "required": required or public_key is not None,
    }
    return do_there(connect(), "POST", "/verify", asked, say, tell)


def annotate_there(version: Committed, card: Path, store: str, tell: Tell) -> dict[str, Any]:
    """Have the registry give a version a card; the JSON of `catalog annotate`, and `unread`."""
    path = f"/models/{part(version.name)}/versions/{version.version}/card"
    asked = {"card": _text(card)}
    return do_there(connect(), "PUT", path, asked, lambda _: None, tell, {"store": store})


def known_runs(settings: Settings) -> list[Adaptation]:
    """The recorded adaptations that recommendations rest on: the registry's, or this machine's."""
    from pydantic import TypeAdapter, ValidationError

    from catalog.adapt.log import Adaptation, read_log

    if not settings.registry:
        return read_log(settings.home)
    told = [it for page in pages(connect(), "/runs", {}) for it in page["runs"]]
    try:
        return TypeAdapter(list[Adaptation]).validate_python(told)
    except ValidationError as exc:
        raise StoreError("the registry's runs are not of the shape that is read here",
                         "is it of another version of the catalog?") from exc  # fmt: skip


def add_runs(settings: Settings, other: Path) -> int:
    """Add the records of a log to those known; how many were new."""
    from catalog.adapt.log import merge_log, read_records

    if not settings.registry:
        return merge_log(settings.home, other)
    if not other.is_file() or not (records := read_records(other)):
        raise BadFile(f"{other}: holds no adaptation records")
    runs = [asdict(it) for it in records]
    starts = range(0, len(runs), _AT_ONCE)
    bodies = ({"runs": runs[at : at + _AT_ONCE]} for at in starts)
    return sum(connect().json("POST", "/adaptations", None, it)["added"] for it in bodies)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadFile(f"{path}: cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
