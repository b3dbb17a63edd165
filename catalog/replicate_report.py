"""What `catalog replicate` says: a line a version, or what a dry run would send."""

from __future__ import annotations

from typing import Any

from catalog.pull import read_manifest
from catalog.replicate import Replicated, Side, check_rules, find_there
from catalog.stores import Committed
from catalog.text import table


def as_dict(done: Replicated, aliases: list[str]) -> dict[str, Any]:
    """The JSON of one replicated version."""
    return {
        "ref": f"{done.version.name}@{done.version.version}",
        "there": f"{done.there.name}@{done.there.version}",
        "digest": done.there.digest,
        "new": done.new,
        "files": len(done.sent),
        "bytes": sum(entry.size for entry in done.sent),
        "aliases": aliases,
    }


def planned(version: Committed, source: Side, target: Side) -> dict[str, Any]:
    """The same, of what would be done; nothing is written anywhere.

    Raises
    ------
    BadFile, BadSignature, StoreError
    """
    there = find_there(target.store, version)
    wanted = []
    if there is None and version.digest:
        manifest = read_manifest(source.store, version)
        check_rules(version, manifest, source, target)
        wanted = target.store.missing(version.name, manifest)
    return {
        "ref": f"{version.name}@{version.version}",
        "there": f"{there.name}@{there.version}" if there else "",
        "digest": version.digest,
        "new": there is None,
        "files": len(wanted),
        "bytes": sum(entry.size for entry in wanted),
        "aliases": [],
    }


def human(rows: list[dict[str, Any]]) -> str:
    """The versions as a table."""
    head = ("VERSION", "THERE", "FILES SENT", "BYTES", "DIGEST")
    lines = [
        (
            it["ref"],
            f"{it['there'] or '(new)'}" + ("" if it["new"] else ", was there"),
            str(it["files"]), f"{it['bytes']:,}", it["digest"][:19],
        )
        for it in rows
    ]  # fmt: skip
    return table(head, lines)
