"""Stopping long work between two steps, so that what it has begun is cleaned up."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

Progress = Callable[[int, int], None]


def stop_at_next_step(progress: Progress) -> Progress:
    """`progress` that leaves with 128 + the signal once the process was asked to end (or hung up).

    The signal's handler only takes note: an exception raised in it can land inside HDF5, which
    swallows it.
    """
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for kind in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, note)

    def step(done: int, total: int) -> None:
        if asked:
            raise SystemExit(128 + asked[0])
        progress(done, total)

    return step
