"""Stopping long work between two steps, so that what it has begun is cleaned up."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from catalog.cli import out

Progress = Callable[[int, int], None]


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Say how to go on, if training in the block was asked to end and left a snapshot."""
    try:
        yield
    except SystemExit:
        out.say(f"stopped; its snapshot is in {folder}\n  next: repeat it with --resume")
        raise


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
