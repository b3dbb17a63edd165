"""HTCondor: condor_submit, condor_q and condor_rm, and the event log that every job writes."""

from __future__ import annotations

import math
import re
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

_SUBMIT, _EVENTS = "job.sub", "condor.log"
_EVENT = re.compile(r"^(\d{3}) \((\d+)\.\d+\.\d+\) ", re.MULTILINE)
_ENDED = re.compile(r"\(1\) Normal termination \(return value (\d+)\)")
# Numbers of the job event log (HTCondor manual, "Job Event Log Codes").
_SUBMITTED, _EXECUTING, _EVICTED, _TERMINATED, _ABORTED, _HELD, _RELEASED = (
    "000", "001", "004", "005", "009", "012", "013",
)  # fmt: skip


class HTCondor(Settings):
    """How to ask for a machine that sees the files of this one; jobs of one node.

    gpu_name : pattern of the GPU's name, as CERN's batch service matches it ("V100")
    flavour : value of +JobFlavour, as at CERN; else `time_limit` becomes +MaxRunTime
    python : the interpreter there, with the catalog installed; default this one
    """

    gpu_name: Plain | None = None
    flavour: Plain | None = None
    accounting_group: Plain | None = None
    python: Annotated[str, Field(pattern=r'^[^\s"\'$]{1,500}$')] = sys.executable

    @property
    def shared(self) -> bool:
        """Its machines are asked for by a shared file system."""
        return True

    def spec(self, job: Job, folder: Path) -> dict[str, str]:
        """The submit description."""
        if job.nodes > 1:
            raise UsageError(
                f"{job.nodes} nodes were asked for: HTCondor is given jobs of one machine here",
                "give --nodes 1 and more --devices, or another place: --on slurm",
            )
        if re.search(r'[\n"$\\]', str(folder)):
            raise UsageError(f"{folder}: condor_submit cannot take this path", "set CATALOG_HOME")
        gpu = job.device is not None and not job.device.lower().startswith("cpu")
        asked = {
            "universe": "vanilla",
            "executable": self.python,
            "arguments": '"-m catalog.jobs.node"',
            "initialdir": folder,
            "output": LOG_FILE,
            "error": LOG_FILE,
            "log": _EVENTS,
            "should_transfer_files": "NO",
            "batch_name": job.name,
            "request_cpus": job.cpus or (1 if gpu else job.devices),
            "request_gpus": job.devices if gpu else None,
            "request_memory": f"{math.ceil(job.memory_gb * 1024)}MB" if job.memory_gb else None,
            "request_disk": f"{math.ceil(job.disk_gb * 1024)}MB" if job.disk_gb else None,
            "requirements": f'regexp("{self.gpu_name}", Target.CUDADeviceName)'
            if gpu and self.gpu_name
            else None,
            "accounting_group": self.accounting_group,
            "+JobFlavour": f'"{self.flavour}"' if self.flavour else None,
            "+MaxRunTime": None
            if self.flavour or not job.time_limit
            else math.ceil(parse_duration(job.time_limit)),
        }
        lines = [f"{key} = {value}" for key, value in asked.items() if value is not None]
        return {_SUBMIT: "\n".join([*lines, "queue 1", ""])}

    def submit(self, folder: Path) -> str:
        """Start it; its name is the cluster's number."""
        told = ask("condor_submit", "-terse", _SUBMIT, cwd=folder)
        found = re.match(r"\s*(\d+)\.\d+", told)
        if not found:
            raise LaunchError(f"condor_submit answered {told.strip()[:200]!r}: no job number")
        return found[1]

    def state(self, handle: str, folder: Path) -> State:
        """What the event log tells; HTCondor need not be reached for it."""
        path = folder / _EVENTS
        text = path.read_text("utf-8", "replace") if path.is_file() else ""
        events = [found for found in _EVENT.finditer(text) if found[2].lstrip("0") == handle]
        known = {_SUBMITTED, _EXECUTING, _EVICTED, _TERMINATED, _ABORTED, _HELD, _RELEASED}
        last = next((found for found in reversed(events) if found[1] in known), None)
        if last is None:
            return State("unknown", f"nothing about {handle} in {path}")
        if last[1] == _EXECUTING:
            return State("running")
        if last[1] == _ABORTED:
            return State("cancelled")
        if last[1] == _HELD:
            lines = text[last.end() :].splitlines()
            return State("queued", f"held: {lines[1].strip()[:200] if len(lines) > 1 else ''}")
        if last[1] != _TERMINATED:
            return State("queued")
        ended = _ENDED.search(text, last.end())
        code = int(ended[1]) if ended else read_attempts(folder).code
        if code:
            return State("failed", f"exit status {code}")
        return State("done") if code == 0 else State("failed", "ended by a signal")

    def cancel(self, handle: str, folder: Path) -> None:
        """`condor_rm`: it gets SIGTERM first."""
        ask("condor_rm", handle)

    def fetch(self, handle: str, folder: Path) -> None:
        """It wrote here."""
