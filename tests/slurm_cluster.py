"""Run a real two-node Slurm on this machine for a while."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sacctmgr")
ABSENT = "no Slurm is installed here (Debian: apt-get install slurm-wlm munge)"
_PATIENCE = 60.0

# pgid and none: no control groups are needed, so it runs in a container and for anybody.
_CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SchedulerParameters=sched_interval=1
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=30
InactiveLimit=0
KillWait=5
MinJobAge=600
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 State=UNKNOWN
PartitionName=work Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def installed() -> bool:
    """Whether all programs of Slurm are here."""
    return all(_program(name) for name in _PROGRAMS)


@contextmanager
def running_slurm() -> Iterator[dict[str, str]]:
    """Two nodes, n1 and n2, of two CPUs each; gives the environment that `sbatch` needs."""
    with tempfile.TemporaryDirectory(prefix="catalog-slurm-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        conf, environment = _write(folder), {"SLURM_CONF": f"{folder}/slurm.conf"}
        started: list[subprocess.Popen[bytes]] = []
        try:
            started.append(_munged(folder))
            started.append(_start(folder, ["slurmctld", "-D", "-f", str(conf)]))
            started += [
                _start(folder, ["slurmd", "-D", "-N", node, "-f", str(conf)])
                for node in ("n1", "n2")
            ]
            _wait(folder, environment)
            yield environment
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(_PATIENCE)


def _write(folder: Path) -> Path:
    (folder / "state").mkdir()
    for node in ("n1", "n2"):
        (folder / f"spool-{node}").mkdir()
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    conf = folder / "slurm.conf"
    conf.write_text(_CONF.format(folder=folder, user=getpass.getuser(), ports=_free_ports(3)))
    return conf


def _munged(folder: Path) -> subprocess.Popen[bytes]:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    options = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munge.pid",
               "log-file": folder / "munge.log", "seed-file": folder / "munge.seed"}  # fmt: skip
    words = [f"--{name}={value}" for name, value in options.items()]
    return _start(folder, ["munged", "--foreground", "--force", "--num-threads=1", *words])


def _start(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    program = _program(command[0])
    assert program, ABSENT
    with (folder / "out.log").open("ab") as log:
        return subprocess.Popen([program, *command[1:]], stdout=log, stderr=log, cwd=folder)


def _wait(folder: Path, environment: dict[str, str]) -> None:
    """Until both nodes are idle."""
    until = time.monotonic() + _PATIENCE
    command = ["sinfo", "--noheader", "--format=%T %D"]
    while True:
        told = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        if told.stdout.split() == ["idle", "2"]:
            return
        if time.monotonic() > until:
            logs = "\n".join(path.read_text()[-1500:] for path in folder.glob("*.log"))
            raise RuntimeError(f"{told.stdout}{told.stderr}\n{logs}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
