"""Which stores there are, how they are, and what the index knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from catalog.address import shown
from catalog.errors import CatalogError, NotAuthorised, NotFound
from catalog.index import Index
from catalog.settings import Settings
from catalog.store_names import EMBEDDED, StoreNames, config_file, read_names
from catalog.stores import Committed, Store, open_named
from catalog.stores.clock import skew
from catalog.sync import fetch_card
from catalog.text import first_line, table

CLOCK_LIMIT = 60  # seconds: OCI refuses what was signed 300 before or after
_CARDS = 20  # read to see whether cards can be read; spread evenly


def all_stores(settings: Settings, index: Index) -> list[str]:
    """The named stores and the usual one; the embedded one if it is that, or has been used."""
    names = list(read_names(config_file()).stores)
    if settings.store not in names:
        names.insert(0, settings.store)
    if EMBEDDED not in names and index.count(EMBEDDED):
        names.insert(0, EMBEDDED)
    return names


def list_stores(settings: Settings, index: Index) -> list[dict[str, Any]]:
    """The JSON of `catalog stores ls`; nothing is contacted."""
    named = read_names(config_file()).stores
    listed = []
    for name in all_stores(settings, index):
        it = named.get(name)
        listed.append(
            {
                "name": name,
                "uri": shown(it.uri if it else name),
                "default": name == settings.store,
                "require_signature": bool(it and it.require_signature),
                "credential": (it and (it.token_env or it.login_env or it.keyring)) or None,
                "versions": index.count(name),
                "synced": index.token(name)[1] or None,
            }
        )
    return listed


def let_go(index: Index, name: str, uri: str, usual: str) -> None:
    """Tell the index that `name` means `uri` no more: a token of one store must not reach another.

    The rows stay only where the store is known without the name: the embedded or the usual one.
    """
    if uri in (EMBEDDED, usual):
        index.rename_store(name, uri)
    else:
        index.forget_store(name)


def check_all(wanted: Sequence[str]) -> list[dict[str, Any]]:
    """The JSON of `catalog stores check`: each store is contacted, none stops the others."""
    names = read_names(config_file())
    return [_timed(names.name_of(name), names) for name in wanted]


def _timed(name: str, names: StoreNames) -> dict[str, Any]:
    """The check of one store, and how far this machine's clock is ahead of its server's."""
    told = _check(name, names) | {"clock_ahead_s": None}
    if told["reachable"]:
        with suppress(CatalogError):  # it has been told
            # Not part of the seam: only a store behind HTTP has a clock of its own.
            ahead = skew(getattr(open_named(name, names), "address", ""))
            told["clock_ahead_s"] = None if ahead is None else round(ahead)
    return told


def _check(name: str, names: StoreNames) -> dict[str, Any]:
    blank = {
        "name": name, "reachable": True, "authorised": True, "error": None, "next": None,
        "problem": None,
    }  # fmt: skip
    try:
        store = open_named(name, names)
        versions = list(store.versions())
        ours = [version for version in versions if version.digest]
        return blank | {
            "models": len({version.name for version in versions}),
            "versions": len(versions),
            "documented": len(ours),
            **_try_cards(store, ours),
        }
    except CatalogError as exc:
        if isinstance(exc, NotFound) and name not in names.stores:
            raise  # no such store: the question is wrong, not the store
        allowed = not isinstance(exc, NotAuthorised)
        words = {"error": exc.message, "next": exc.hint}
        return blank | {"reachable": not allowed, "authorised": allowed} | words
    except Exception as exc:  # noqa: BLE001  a keyring's, say: the other stores are still told
        return blank | {"reachable": False, "error": f"{type(exc).__name__}: {first_line(exc)}"}


def _try_cards(store: Store, ours: Sequence[Committed]) -> dict[str, Any]:
    """How many of some cards can be read, and what is wrong with the first that cannot."""
    some = ours[:: max(1, len(ours) // _CARDS)][:_CARDS]
    problems = []
    for version in some:
        try:
            fetch_card(store, version)
        except CatalogError as exc:
            problems.append(f"{version.name}@{version.version}: {exc.message}")
    return {
        "cards_tried": len(some),
        "cards_read": len(some) - len(problems),
        "problem": problems[0] if problems else None,
    }


def exit_code(checks: Sequence[Mapping[str, Any]]) -> int:
    """0 if all is well, 4 if a store refused who we are, 1 for anything else."""
    if any(not it["authorised"] for it in checks):
        return 4
    return int(any(it["error"] or it["problem"] for it in checks))


def human_stores(listed: Sequence[Mapping[str, Any]]) -> str:
    """The stores as a table."""
    rows = [
        (
            it["name"], it["uri"], str(it["versions"]), it["synced"] or "never",
            it["credential"] or "-", "default" if it["default"] else "",
        )
        for it in listed
    ]  # fmt: skip
    return table(("STORE", "URI", "VERSIONS", "SYNCED", "CREDENTIAL", ""), rows)


def human_checks(checks: Sequence[Mapping[str, Any]]) -> str:
    """The checks as sentences."""
    lines = []
    for it in checks:
        ahead = it["clock_ahead_s"] or 0
        if abs(ahead) > CLOCK_LIMIT:
            which = "ahead of" if ahead > 0 else "behind"
            lines += [
                f"{it['name']}: warning: this machine's clock is {abs(ahead)} s {which} the "
                "server's; beyond some minutes it refuses who we are",
                "  next: timedatectl set-ntp true",
            ]
        if it["error"]:
            lines += [f"{it['name']}: {it['error']}", f"  next: {it['next']}"]
            continue
        lines.append(
            f"{it['name']}: reachable, authorised; {it['models']} models, {it['versions']} "
            f"versions, {it['documented']} with a card; {it['cards_read']} of "
            f"{it['cards_tried']} cards tried can be read"
        )
        if it["problem"]:
            lines.append(f"  {it['problem']}")
    return "\n".join(lines)


def human_syncs(told: Sequence[Mapping[str, Any]]) -> str:
    """What each sync did, as a table."""
    rows = [
        (it["store"], str(it["versions"]), "failed", "", "")
        if it["error"]
        else (
            it["store"], str(it["versions"]), str(it["read"]), str(it["gone"]), str(it["unread"])
        )
        for it in told
    ]  # fmt: skip
    return table(("STORE", "VERSIONS", "READ", "GONE", "UNREAD"), rows)
