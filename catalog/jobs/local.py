"""This machine: a process of its own that outlives the terminal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from catalog.errors import LaunchError, UsageError
from catalog.jobs.attempts import read_attempts
from catalog.jobs.job import Job
from catalog.jobs.launcher import Settings, State
from catalog.jobs.programs import ask
from catalog.jobs.runs import LOG_FILE


class Local(Settings):
    """Nothing to set but a price."""

    @property
    def shared(self) -> bool:
        """It is this machine."""
        return True

    def spec(self, job: Job, folder: Path) -> dict[str, str]:
        """Nothing beside the job itself."""
        if job.nodes > 1:
            raise UsageError(
                f"{job.nodes} nodes were asked for, and this machine is one",
                "give --nodes 1, or another place: --on slurm",
            )
        return {}

    def submit(self, folder: Path) -> str:
        """Start it apart from this terminal; its name is host:pid:when the process began."""
        with (folder / LOG_FILE).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "catalog.jobs.node"], cwd=folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return f"{socket.gethostname()}:{process.pid}:{_began(process.pid)}"

    def state(self, handle: str, folder: Path) -> State:
        """Whether its process lives, else what it wrote down at its end."""
        host, pid, began = handle.rsplit(":", 2)
        if host != socket.gethostname():
            return State("unknown", f"it runs on {host}: ask there")
        with suppress(ChildProcessError):  # ours, if this process submitted it: let it go
            os.waitpid(int(pid), os.WNOHANG)
        if began and _began(int(pid)) == began:
            return State("running", f"process {pid}")
        attempts = read_attempts(folder)
        if attempts.running or attempts.code is None:
            return State("lost", "its process is gone and left no word")
        if attempts.code:
            return State("failed", f"exit status {attempts.code}")
        return State("done")

    def cancel(self, handle: str, folder: Path) -> None:
        """Ask its process to end."""
        _host, pid, began = handle.rsplit(":", 2)
        if self.state(handle, folder).name == "running" and _began(int(pid)) == began:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)

    def fetch(self, handle: str, folder: Path) -> None:
        """It wrote here."""


def _began(pid: int) -> str:
    """When a process began, so that another one with its number is not taken for it; "" if gone."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            return "" if fields[0] in "ZX" else f"{fields[19]}-{_boot()}"
        return ""
    with suppress(LaunchError):
        return ask("ps", "-o", "lstart=", "-p", str(pid)).strip().replace(":", ".")
    return ""


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    return ""
