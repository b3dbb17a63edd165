"""A server as a process with children: started, its CPU time counted, all of it ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_GRACE = 10.0


class NotStarted(Exception):
    """A server ended, or did not answer in time; the message is the end of what it said."""


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat. `ticks` is its own time and that of children it waited for."""

    pid: int
    parent: int
    born: int
    ticks: int

    @classmethod
    def parse(cls, line: str) -> Process:
        """Read a line; the name of the program stands in brackets and may hold any character."""
        pid, _, rest = line.partition(" (")
        words = rest.rpartition(")")[2].split()
        used = sum(int(word) for word in words[11:15])  # utime, stime, cutime, cstime
        return cls(int(pid), int(words[1]), int(words[19]), used)


def descendants(processes: list[Process], root: int) -> list[Process]:
    """The process `root`, its children, theirs, and so on."""
    found = [it for it in processes if it.pid == root]
    for it in found:  # grows meanwhile
        found += [child for child in processes if child.parent == it.pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process and of all that came from it, also of ended children."""
    return sum(it.ticks for it in descendants(_all(), root)) / _TICKS


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], answers: Callable[[], bool], place: Path, seconds: float, **environment: str
) -> Iterator[int]:
    """Start a server, wait until it answers, give its pid, and end it and its children.

    Raises
    ------
    NotStarted
    """
    log = place / "log.txt"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command, cwd=place, env=os.environ | environment, stdout=sink, stderr=sink,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        until = time.monotonic() + seconds
        while not answers():
            if process.poll() is not None or time.monotonic() > until:
                raise NotStarted(log.read_text(encoding="utf-8", errors="replace")[-600:])
            time.sleep(0.2)
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the first one to stop; whoever of its descendants stays is killed."""
    family = descendants(_all(), process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    known = {(it.pid, it.born) for it in family}
    for it in _all():
        if (it.pid, it.born) in known and it.pid != process.pid:
            with suppress(ProcessLookupError):
                os.kill(it.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _all() -> list[Process]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            found.append(Process.parse(path.read_text(encoding="utf-8", errors="replace")))
    return found
