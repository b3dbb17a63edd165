"""HTCondor: the submit description, and what the event log of a job tells.

No HTCondor runs here: the logs below are written after its manual ("Job Event Log Codes").
"""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import UsageError
from catalog.jobs.job import Job
from catalog.jobs.launcher import State
from catalog_htcondor import HTCondor

JOB = Job(name="a", command=("torchrun", "-m", "catalog"), devices=2, device="V100",
          memory_gb=8, time_limit="2h")  # fmt: skip
SUBMITTED = "000 (012.000.000) 2026-11-24 03:00:00 Job submitted from host: <127.0.0.1:9618>\n...\n"
RUNNING = "001 (012.000.000) 2026-11-24 03:01:00 Job executing on host: <127.0.0.1:9618>\n...\n"
EVICTED = "004 (012.000.000) 2026-11-24 03:02:00 Job was evicted.\n\t(0) CPU times\n...\n"
HELD = "012 (012.000.000) 2026-11-24 03:02:00 Job was held.\n\tmemory exceeded\n...\n"
ABORTED = "009 (012.000.000) 2026-11-24 03:02:00 Job was aborted.\n\tby user\n...\n"
ENDED = (
    "005 (012.000.000) 2026-11-24 03:03:00 Job terminated.\n"
    "\t(1) Normal termination (return value {})\n...\n"
)
KILLED = (
    "005 (012.000.000) 2026-11-24 03:03:00 Job terminated.\n"
    "\t(0) Abnormal termination (signal 9)\n...\n"
)


def test_the_description_asks_for_what_the_job_needs(tmp_path: Path) -> None:
    text = HTCondor(gpu_name="V100").spec(JOB, tmp_path)["job.sub"]
    for line in ("request_gpus = 2", "request_memory = 8192MB", "+MaxRunTime = 7200",
                 'requirements = regexp("V100", Target.CUDADeviceName)', "queue 1"):  # fmt: skip
        assert f"{line}\n" in text
    assert "torchrun" not in text  # no word of a job passes through HTCondor's own quoting


def test_several_machines_or_a_path_that_could_write_lines_are_refused() -> None:
    with pytest.raises(UsageError, match="one machine"):
        HTCondor().spec(JOB.model_copy(update={"nodes": 2}), Path("/tmp/a"))
    with pytest.raises(UsageError, match="cannot take this path"):
        HTCondor().spec(JOB, Path("/tmp/a\nqueue 100"))


@pytest.mark.parametrize(
    ("log", "state"),
    [
        ("", "unknown"),
        (SUBMITTED, "queued"),
        (SUBMITTED + RUNNING, "running"),
        (SUBMITTED + RUNNING + EVICTED, "queued"),
        (SUBMITTED + RUNNING + EVICTED + RUNNING, "running"),
        (SUBMITTED + RUNNING + HELD, "queued"),
        (SUBMITTED + ABORTED, "cancelled"),
        (SUBMITTED + RUNNING + ENDED.format(0), "done"),
        (SUBMITTED + RUNNING + ENDED.format(1), "failed"),
        (SUBMITTED + RUNNING + KILLED, "failed"),
        (SUBMITTED.replace("012", "013") + ENDED.format(0).replace("012", "013"), "unknown"),
        (SUBMITTED + RUNNING + "005 (012.00", "running"),
    ],
)
def test_the_event_log_tells_the_state(log: str, state: str, tmp_path: Path) -> None:
    (tmp_path / "condor.log").write_text(log)
    assert HTCondor().state("12", tmp_path).name == state


def test_why_a_job_is_held_is_told(tmp_path: Path) -> None:
    (tmp_path / "condor.log").write_text(SUBMITTED + HELD)
    assert HTCondor().state("12", tmp_path) == State("queued", "held: memory exceeded")
