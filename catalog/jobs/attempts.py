"""What a run's own first node writes down: when it began, and how it ended.

One line of JSON each, only ever appended: a job that was taken off its machine and started again
has several pairs. It is the only witness that outlives an engine's short memory.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "attempts.jsonl"


@dataclass(frozen=True)
class Attempts:
    """running : the last one began and has not ended
    code : exit status of the last one that ended, None before
    seconds : spent in those that ended
    """

    count: int = 0
    running: bool = False
    code: int | None = None
    seconds: float = 0.0


def note(folder: Path, **what: Any) -> None:
    """Append one line, in one write."""
    line = json.dumps({"at": time.time(), **what}) + "\n"
    handle = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read_attempts(folder: Path) -> Attempts:
    """Sum them up; a line cut by a crash does not count."""
    path = folder / FILE
    began: float | None = None
    count, code, seconds = 0, None, 0.0
    for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
            at = float(row["at"])
        except (ValueError, KeyError, TypeError):
            continue
        if "code" in row:
            code, seconds = int(row["code"]), seconds + max(0.0, at - (began or at))
            began = None
        else:
            count, began = count + 1, at
    return Attempts(count, began is not None, code, seconds)
