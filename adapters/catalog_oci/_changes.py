"""What changed since a token: a listing is cheap (100 models a request), cards are not.

The token holds a short hash of what was listed of each model, so that what vanished is seen, too.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict

from catalog.stores.protocol import Alias, Changes
from catalog_oci._place import Place
from catalog_oci._rows import Row


def changes_since(token: str, place: Place, rows: list[Row], aliases: list[Alias]) -> Changes:
    """Compare a listing with the one that a token was made of."""
    key = f"{place.endpoint} {place.compartment} {place.project}"
    now, before = _hashes(rows, aliases), _read(token, key)
    known = before or {}
    names = sorted(name for name in now.keys() | known if now.get(name) != known.get(name))
    changed = set(names)
    return Changes(
        token=json.dumps({"oci": key, "models": now}, separators=(",", ":")),
        versions=tuple(row.version for row in rows if row.name in changed),
        complete=before is None,
        names=tuple(names),
        aliases=tuple(alias for alias in aliases if alias.name in changed),
    )


def _hashes(rows: list[Row], aliases: list[Alias]) -> dict[str, str]:
    lines: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        lines[row.name].append(f"{row.number} {row.digest} {row.model_id}")
    for alias in aliases:
        lines[alias.name].append(f"{alias.alias} {alias.version}")
    return {
        name: hashlib.sha256("\n".join(text).encode()).hexdigest()[:12]
        for name, text in lines.items()
    }


def _read(token: str, key: str) -> dict[str, str] | None:
    try:
        document = json.loads(token)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("oci") != key:
        return None
    models = document.get("models")
    return {str(k): str(v) for k, v in models.items()} if isinstance(models, dict) else None
