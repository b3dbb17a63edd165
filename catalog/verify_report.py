"""What `catalog verify` says of a version: which files, where else it lies, what to type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog.index import Index
from catalog.stores import Committed, Store
from catalog.text import table
from catalog.verify import Tell, Verified, verify_version


def report(
    versions: Sequence[Committed], store: Store, name: str, index: Index, *,
    rule: tuple[bool, Path | None], files: Tell, every: Tell,
) -> dict[str, Any]:  # fmt: skip
    """Verify versions of one store; the JSON of `catalog verify`, and `bare`: those without one.

    rule : (whether a valid signature is required, the key that checks it)
    files, every : told of the bytes of each version, and of the versions
    """
    known = [it for it in versions if it.digest]
    results: list[dict[str, Any]] = []
    for version in known:
        found = verify_version(store, version, files, rule[1])
        results.append(as_dict(found, name, index, rule[0]))
        every(len(results), len(known))
    sound = all(it["sound"] for it in results)
    bare = len(versions) - len(known)
    return {"store": name, "sound": sound, "versions": results, "bare": bare}


def as_dict(found: Verified, store: str, index: Index, required: bool) -> dict[str, Any]:
    """The JSON of one version; `required`: it must have a valid signature to be sound."""
    version = found.version
    others = index.by_digest(version.digest)
    elsewhere = [(row.store, row.ref) for row in others if row.store != store and not row.gone]
    sound = found.sound and not (required and found.signature != "valid")
    return {
        "ref": f"{version.name}@{version.version}",
        "digest": version.digest,
        "sound": sound,
        "files": len(found.manifest.entries) if found.manifest else None,
        "bytes": found.manifest.size if found.manifest else None,
        "problems": [{"path": it.path, "reason": it.reason} for it in found.problems],
        "signature": found.signature,
        "elsewhere": [name for name, _ in elsewhere],
        "next": "" if sound else _advice(found, store, elsewhere),
    }


def _advice(found: Verified, store: str, elsewhere: list[tuple[str, str]]) -> str:
    if not found.problems:
        return "it is not signed as it must be: do not use it, and ask who published it"
    if elsewhere:
        name, ref = elsewhere[0]
        return f"catalog replicate {ref} --from {name} --to {store} --mend"
    return (
        "publish it again from its folder, which mends it: catalog publish FOLDER "
        "(OCI lets no artifact change: delete the model there first)"
    )


def human(versions: list[dict[str, Any]]) -> str:
    """One line a version, and what is wrong below it."""
    head = ("VERSION", "FILES", "BYTES", "SIGNATURE", "")
    rows = []
    for it in versions:
        size = "-" if it["bytes"] is None else f"{it['bytes']:,}"
        state = "sound" if it["sound"] else "NOT SOUND"
        rows.append((it["ref"], str(it["files"] or "-"), size, it["signature"], state))
    lines = table(head, rows).splitlines()
    found = [lines[0]]
    for it, line in zip(versions, lines[1:], strict=True):
        found.append(line)
        found += [f"  {bad['path']}: {bad['reason']}" for bad in it["problems"]]
        found += [f"  next: {it['next']}"] if it["next"] else []
    return "\n".join(found)
