"""The audit log: one line of JSON per change that was asked for, and per refusal."""

from __future__ import annotations

import json
import logging
import os
import queue
import secrets
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError
from registry_server.database import Database

_log = logging.getLogger(__name__)
FILE = "audit.jsonl"
_WAITING = 10_000  # lines that a database which is away has not taken yet
_AGAIN = 1.0  # seconds
_INTO = "INSERT INTO audit VALUES (?, CAST(? AS timestamptz), ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


class Audit:
    """Appends to a file that only its owner can read.

    It is opened for every line: rotating it away needs no signal, and a line is one write, which
    several server processes do not mix up. A database that servers on other machines share gets
    each line, too, a moment later: there all of them are together.
    """

    def __init__(self, home: Path, database: Database | None = None) -> None:
        self.path = home / FILE
        self._database = database if database and database.shared else None
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING)
        self._guard, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, who: str, method: str, path: str, status: int, request_id: str) -> None:
        """Write down who asked for what, when, and what came of it."""
        line = {
            "when": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": who,
            "what": f"{method} {path[:500]}",
            "outcome": status,
            "request_id": request_id,
        }
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, json.dumps(line).encode("ascii") + b"\n")
            finally:
                os.close(file)
        except OSError:
            _log.exception("the audit log cannot be written: %s", line)
        if self._database:
            self._share(line, self._database)

    def close(self) -> None:
        """Copy what waits, if the database takes it, and end the thread until the next line."""
        with self._guard:
            if self._thread is not None:
                self._stop.set()
                self._lines.put(None)
                self._thread.join()
            self._thread = None

    def _share(self, line: dict[str, Any], database: Database) -> None:
        with self._guard:
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._copy, args=(database,), daemon=True)
                self._thread.start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            _log.warning("an audit line is in %s only: %s", self.path, line)

    def _copy(self, database: Database) -> None:
        while (line := self._lines.get()) is not None:
            values = (secrets.token_hex(16), *line.values(), socket.gethostname())
            while True:
                try:
                    database.run(_INTO, *values)
                    break
                except CatalogError as exc:
                    _log.warning("the audit lines wait: %s", exc)
                    if self._stop.wait(_AGAIN):
                        break
