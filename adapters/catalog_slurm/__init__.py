"""Slurm: sbatch, squeue, scontrol, sacct and scancel, as installed where `catalog` runs."""

from __future__ import annotations

import math
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field

from catalog.adapt.duration import parse_duration
from catalog.errors import LaunchError, UsageError
from catalog.jobs.attempts import read_attempts
from catalog.jobs.job import Job
from catalog.jobs.launcher import Plain, Settings, State
from catalog.jobs.programs import ask
from catalog.jobs.runs import LOG_FILE

_SCRIPT = "job.sbatch"
# Words of `squeue` and `sacct`, in Slurm's own spelling (man squeue, JOB STATE CODES).
_QUEUED = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD",
           "SPECIAL_EXIT", "SUSPENDED", "STOPPED"}  # fmt: skip
_RUNNING = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT"}


class Slurm(Settings):
    """How to ask for nodes; the files of this machine must be seen from them.

    python : the interpreter on the nodes, with the catalog installed; default this one
    warning : how long before its time is up a job is told, to leave a snapshot
    """

    partition: Plain | None = None
    account: Plain | None = None
    qos: Plain | None = None
    constraint: Plain | None = None
    gres: Plain | None = None
    reservation: Plain | None = None
    python: Plain = sys.executable
    warning: Annotated[int, Field(ge=0, le=3600)] = 60

    @property
    def shared(self) -> bool:
        """Nodes of a cluster share its file system."""
        return True

    def spec(self, job: Job, folder: Path) -> dict[str, str]:
        """The batch script."""
        if re.search(r"[\n\"\\]", str(folder)):
            raise UsageError(f"{folder}: sbatch cannot take this path", "set CATALOG_HOME")
        asked = {
            "job-name": job.name,
            "nodes": job.nodes,
            "ntasks-per-node": 1,
            "cpus-per-task": job.cpus or (job.devices if _on_cpu(job) else None),
            "gpus-per-node": None if _on_cpu(job) or self.gres else job.devices,
            "gres": self.gres,
            "mem": f"{math.ceil(job.memory_gb * 1024)}M" if job.memory_gb else None,
            "time": _minutes(job.time_limit),
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "reservation": self.reservation,
            "chdir": f'"{folder}"',
            "output": LOG_FILE,
            "open-mode": "append",
            "signal": f"TERM@{self.warning}" if job.time_limit and self.warning else None,
        }
        lines = [f"#SBATCH --{key}={value}" for key, value in asked.items() if value is not None]
        run = f"exec srun --kill-on-bad-exit=1 {shlex.quote(self.python)} -m catalog.jobs.node"
        return {_SCRIPT: "\n".join(["#!/bin/sh", *lines, "#SBATCH --requeue", run, ""])}

    def submit(self, folder: Path) -> str:
        """The job's number, and its cluster's name where Slurm tells one."""
        told = ask("sbatch", "--parsable", _SCRIPT, cwd=folder).strip()
        if not re.fullmatch(r"\d+(;[\w-]+)?", told):
            raise LaunchError(f"sbatch answered {told[:200]!r}, which is no job number")
        return told

    def state(self, handle: str, folder: Path) -> State:
        """What the controller says, then the accounting, then the job's own first node."""
        number = handle.partition(";")[0]
        try:
            told = ask("squeue", "--noheader", "--states=all", "--format=%T|%r", "--jobs", number)
        except LaunchError as exc:
            if "Invalid job id" not in exc.message:
                return State("unknown", exc.message)
            told = ""
        word, _, reason = told.strip().partition("|")
        if not word:
            word = _accounted(number)
        if word in _QUEUED:
            return State("queued", reason if reason != "None" else "")
        if word in _RUNNING:
            return State("running")
        attempts = read_attempts(folder)
        if attempts.running or attempts.code is None:
            if word.startswith("CANCELLED"):
                return State("cancelled")
            why = f"Slurm says {word.split()[0]}" if word else "Slurm has forgotten it"
            return State("failed" if word else "lost", f"{why}; it left no word of its end")
        if attempts.code:
            return State("failed", f"exit status {attempts.code}")
        return State("done")

    def cancel(self, handle: str, folder: Path) -> None:
        """`scancel`: a running one gets SIGTERM first."""
        ask("scancel", handle.partition(";")[0])

    def fetch(self, handle: str, folder: Path) -> None:
        """It wrote here."""


def _on_cpu(job: Job) -> bool:
    return job.device is None or job.device.lower().startswith("cpu")


def _minutes(limit: str | None) -> str | None:
    return None if limit is None else str(max(1, math.ceil(parse_duration(limit) / 60)))


def _accounted(number: str) -> str:
    """What `sacct` remembers; "" where there is no accounting."""
    try:
        told = ask("sacct", "--noheader", "--parsable2", "--format=State", "--jobs", number)
    except LaunchError:
        return ""
    return next(iter(told.split("\n")), "").strip()
