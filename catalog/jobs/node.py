"""Run the job of this folder on one node: `python -m catalog.jobs.node`, by whatever started it.

Where files are shared every engine starts this, once per node, so that no words of a job ever pass
through a shell. The node's place among the others comes from the environment (Slurm's, or none).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from catalog.errors import CatalogError
from catalog.jobs.attempts import note
from catalog.jobs.job import Job, load_job

JOB_FILE = "job.yaml"
_PORTS = 29500  # and the thousand after it: two jobs of one user may share a head node
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def words_of(job: Job, environment: Mapping[str, str]) -> list[str]:
    """What this node runs: `torchrun` gets its nodes, processes and meeting point here."""
    first, *rest = job.command
    if first != "torchrun":
        return [sys.executable if first == "python" else first, *rest]
    if job.nodes * job.devices == 1:
        return [sys.executable, *rest]
    run = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={job.nodes}"]
    run += [f"--nproc-per-node={job.devices}"]
    if job.nodes == 1:
        return [*run, "--standalone", *rest]
    head, number = environment["SLURM_LAUNCH_NODE_IPADDR"], environment["SLURM_JOB_ID"]
    port = _PORTS + int(number) % 1000
    return [*run, "--rdzv-backend=c10d", f"--rdzv-id={number}", f"--rdzv-endpoint={head}:{port}",
            *rest]  # fmt: skip


def main() -> None:
    """Run it; the first node writes down when it began and how it ended."""
    folder, first = Path.cwd(), os.environ.get("SLURM_NODEID", "0") == "0"
    try:
        job = load_job(str(folder / JOB_FILE))
    except CatalogError as exc:
        sys.exit(f"catalog: {exc.message}")
    environment = {**os.environ, **job.env, "CATALOG_HOME": str(folder / "home")}
    if first:
        note(folder, host=socket.gethostname(), pid=os.getpid())
    try:
        code = _run(words_of(job, environment), environment)
    except OSError as exc:
        print(f"catalog: {job.command[0]}: {exc.strerror}", file=sys.stderr)
        code = 127
    if first:
        note(folder, code=code)
    sys.exit(code)


def _run(words: list[str], environment: Mapping[str, str]) -> int:
    """Its exit status, 128 + the signal that ended it; what ends us is passed on to it."""
    asked: list[int] = []
    child: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: object) -> None:
        asked.append(number)
        for process in child:
            process.send_signal(number)

    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, pass_on)
    process = subprocess.Popen(words, env=dict(environment), preexec_fn=_die_with_parent)
    child.append(process)
    if asked:
        process.send_signal(asked[0])
    code = process.wait()
    return code if code >= 0 else 128 - code


def _die_with_parent() -> None:
    """Killed before it can pass the signal on, it must not leave training behind (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)


if __name__ == "__main__":
    main()
