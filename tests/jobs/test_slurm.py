"""A real Slurm of two nodes, on this machine, runs an adaptation to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import UsageError
from catalog.jobs.job import Job
from catalog_slurm import Slurm
from tests import slurm_cluster
from tests.jobs.conftest import SMALL, Catalog, eventually

JOB = Job(name="a", command=("torchrun", "-m", "catalog"), nodes=2, devices=4, time_limit="90min")
LONG = (*SMALL[:-2], "20000", "--no-scratch", "--snapshot", "0.1s")


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    if not slurm_cluster.installed():
        pytest.skip(slurm_cluster.ABSENT)
    with slurm_cluster.running_slurm() as environment:
        yield environment


@pytest.fixture
def on_slurm(catalog: Catalog, slurm: dict[str, str]) -> Catalog:
    catalog.environment |= slurm
    return catalog


def test_the_script_asks_for_what_the_job_needs(tmp_path: Path) -> None:
    job = JOB.model_copy(update={"device": "V100", "memory_gb": 12.5})
    text = Slurm(partition="gpu", account="atlas").spec(job, tmp_path)["job.sbatch"]
    for line in ("--nodes=2", "--gpus-per-node=4", "--mem=12800M", "--time=90", "--partition=gpu",
                 "--account=atlas", "--requeue", "--signal=TERM@60"):  # fmt: skip
        assert f"#SBATCH {line}\n" in text
    assert "torchrun" not in text  # no word of a job passes through a shell


def test_a_path_that_could_write_directives_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot take this path"):
        Slurm().spec(JOB, Path("/tmp/a\n#SBATCH --uid=0"))


@pytest.mark.slow
def test_slurm_itself_accepts_the_script(slurm: dict[str, str], tmp_path: Path) -> None:
    text = Slurm(partition="work").spec(JOB.model_copy(update={"devices": 2}), tmp_path)
    script = tmp_path / "job.sbatch"
    for wrong in ("", "#SBATCH --nodez=3\n", "#SBATCH --partition=none\n"):
        script.write_text(text["job.sbatch"].replace("exec", f"{wrong}exec"))
        done = subprocess.run(
            ["sbatch", "--test-only", str(script)], env={**os.environ, **slurm},
            capture_output=True, check=False,
        )  # fmt: skip
        assert bool(done.returncode) == bool(wrong), done.stderr


@pytest.mark.slow
def test_two_nodes_adapt_together_and_the_child_is_published(on_slurm: Catalog) -> None:
    run = on_slurm.launch(*SMALL, "--on", "slurm", "--size", "2x1", "--publish")["id"]
    assert on_slurm.wait(run, "done", "failed")["state"] == "done"
    told = json.loads(on_slurm("runs", "collect", run, "--json"))
    assert told["device"].endswith("2 processes")
    assert told["published"] == "vae-clic-siw@1"
    records = json.loads(on_slurm("runs", "--json"))["runs"]
    assert [it["where"] for it in records] == ["slurm"]


@pytest.mark.slow
def test_killed_or_cancelled_there_slurm_and_we_agree_and_it_can_go_on(on_slurm: Catalog) -> None:
    told = on_slurm.launch(*LONG, "--on", "slurm")
    run, folder = told["id"], Path(told["folder"])
    snapshot = folder / "child.unfinished" / "adapting" / "snapshot.safetensors"
    eventually(snapshot.exists)
    assert on_slurm.status(run)["state"] == "running"
    pid = json.loads((folder / "attempts.jsonl").read_text().splitlines()[0])["pid"]
    os.kill(pid, signal.SIGKILL)
    assert on_slurm.wait(run, "failed", "lost", "done")["state"] == "failed"
    before = snapshot.stat().st_mtime_ns
    on_slurm("runs", "resume", run)
    eventually(lambda: snapshot.stat().st_mtime_ns > before)
    on_slurm("runs", "cancel", run)
    assert on_slurm.wait(run, "cancelled", "failed", "lost")["state"] == "cancelled"


@pytest.mark.slow
def test_an_unreachable_slurm_is_not_taken_for_a_lost_job(on_slurm: Catalog) -> None:
    told = on_slurm.launch(*LONG, "--on", "slurm")
    conf = Path(on_slurm.environment["SLURM_CONF"])
    other = on_slurm.home / "slurm.conf"
    other.write_text(conf.read_text().replace("SlurmctldPort=", "SlurmctldPort=1#"))
    on_slurm.environment["SLURM_CONF"] = str(other)
    on_slurm.environment["SLURM_CLI_TIMEOUT"] = "1"
    assert on_slurm.status(told["id"])["state"] == "unknown"
    on_slurm.environment["SLURM_CONF"] = str(conf)
    on_slurm("runs", "cancel", told["id"])
    on_slurm.wait(told["id"], "cancelled")
