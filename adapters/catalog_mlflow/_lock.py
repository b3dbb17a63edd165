"""A lock between the processes of one machine, for tidiness only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PATIENCE = 30.0  # seconds; then go ahead: nothing breaks without the lock


@contextmanager
def tidy_lock(path: Path | None) -> Iterator[None]:
    """Let one process of this machine commit at a time, as far as the file system can.

    Without it two processes that publish the same manifest create a version each and one of
    them is taken back, which leaves a gap if a third was faster. It decides nothing else.
    """
    try:
        import fcntl
    except ImportError:  # not on this platform
        path = None
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.02)
        yield
