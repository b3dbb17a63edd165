"""A Job is read strictly: what is wrong is named, and nothing of it ever becomes a shell's text."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import BadFile, NotFound
from catalog.jobs.job import Job, load_job, parse_job, shipped_jobs

WHOLE = """
name: mine
command: [torchrun, --nproc-per-node=2, train.py, "; rm -rf /"]
training: {system: 3dgan-gke, examples: 1000, batch: 10, epochs: 2}
"""


def test_every_shipped_job_is_read() -> None:
    assert {"3dgan-gke", "higgs-kubecon"} <= set(shipped_jobs())
    assert all(load_job(name).name == name for name in shipped_jobs())


def test_a_command_stays_a_list_of_words() -> None:
    assert parse_job(WHOLE, "x").command[-1] == "; rm -rf /"
    with pytest.raises(BadFile, match="command"):
        parse_job("name: mine\ncommand: python train.py; rm -rf /\n", "x")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nodse: 2", "nodse"),
        ("nodes: 0", "nodes"),
        ("nodes: 100000000000000000000", "nodes"),
        ("memory_gb: .nan", "memory_gb"),
        ("disk_gb: -1", "disk_gb"),
        ("time_limit: soon", "'soon' is no duration"),
        ("env: {'a b': x}", "no name of an environment variable"),
        ('env: {A: "x\\0y"}', "zero byte"),
        ("inputs: [{path: a, digest: md5}]", "inputs.0.digest"),
        ("parallel: {core_hours: 1}", "exclude each other"),
        ("name: two", "appears twice"),
    ],
)
def test_what_is_wrong_is_named(line: str, says: str) -> None:
    with pytest.raises(BadFile, match=f"my.yaml.*{says}"):
        parse_job(WHOLE + line, "my.yaml")


@pytest.mark.parametrize(
    "training",
    ["{system: a, examples: 0, batch: 1, epochs: 1}", "{system: a, examples: 9, batch: 1}",
     "{system: a, examples: 9, batch: 1, epochs: 1, steps: 1}",
     "{system: a, examples: 9, batch: 1, epochs: 1, loader: .inf}"],
)  # fmt: skip
def test_a_training_without_work_is_refused(training: str) -> None:
    with pytest.raises(BadFile, match="training"):
        parse_job(f"name: a\ncommand: [a]\ntraining: {training}\n", "x")


def test_a_job_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="shipped: 3dgan-gke"):
        load_job(str(tmp_path / "none.yaml"))


def test_json_and_back_is_the_same_job() -> None:
    job = parse_job(WHOLE, "x")
    assert Job.model_validate(job.model_dump(mode="json")) == job
