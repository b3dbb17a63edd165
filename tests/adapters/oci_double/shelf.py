"""Where the double keeps its resources: one JSON file each, so that it outlives its process."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.adapters.oci_double.wire import RefusedError


class Shelf:
    """Resources of one kind by id. Whoever changes one holds the double's lock."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder / kind
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kind = kind
        self._rows = {p.stem: json.loads(p.read_text()) for p in self._folder.glob("*.json")}

    def add(self, body: dict[str, Any]) -> dict[str, Any]:
        """Keep a new resource; the service gives id, times, state and etag."""
        ident = f"ocid1.{self._kind}.oc1.iad.{uuid.uuid4().hex}"
        stamp = now()
        row = {"id": ident, "timeCreated": stamp, "lifecycleState": "ACTIVE", "etag": "0"} | body
        return self.put(row)

    def put(self, row: dict[str, Any]) -> dict[str, Any]:
        """Keep a changed resource, under a new etag."""
        row["etag"] = uuid.uuid4().hex
        target = self._folder / f"{row['id']}.json"
        temp = target.with_suffix(".part")
        temp.write_text(json.dumps(row))
        temp.replace(target)
        self._rows[row["id"]] = row
        return row

    def get(self, ident: str) -> dict[str, Any]:
        if ident not in self._rows:
            raise RefusedError(404, "NotAuthorizedOrNotFound", f"no {self._kind} {ident}")
        return self._rows[ident]

    def match(self, ident: str, headers: Any) -> dict[str, Any]:
        """The resource, if it is still the one that an if-match header means."""
        row = self.get(ident)
        wanted = headers.get("if-match")
        if row["lifecycleState"] == "DELETED":
            raise RefusedError(404, "NotAuthorizedOrNotFound", f"{ident} is deleted")
        if wanted and wanted != row["etag"]:
            raise RefusedError(412, "NoEtagMatch", "somebody else was faster")
        return row

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(sorted(self._rows.values(), key=lambda row: (row["timeCreated"], row["id"])))


def now() -> str:
    time.sleep(0.001)  # no two resources at one millisecond, like in real life
    return datetime.now(UTC).isoformat(timespec="milliseconds")
