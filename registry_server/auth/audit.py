"""The audit log: one line of JSON per change that was asked for, and per refusal."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

_log = logging.getLogger(__name__)
FILE = "audit.jsonl"


class Audit:
    """Appends to a file that only its owner can read.

    It is opened for every line: rotating it away needs no signal, and a line is one write, which
    several server processes do not mix up.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE

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
