"""kill -9 at any moment of a replication leaves nothing torn, and running it again completes it."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from pathlib import Path

import pytest

from catalog.stores import Store
from catalog.verify import verify_version
from tests.catalog.shelf import silent

pytest.importorskip("mlflow")
from tests.catalog.killed import opened, replicate_all, source

VERSIONS = 12


def assert_nothing_torn(target: Store) -> int:
    versions = list(target.versions())
    for version in versions:
        found = verify_version(target, version, silent)
        assert found.sound, (version, found.problems)
    return len(versions)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_nothing_is_torn_and_a_rerun_completes(tmp_path: Path, kills: int) -> None:
    list(opened(tmp_path / "empty").versions())
    there = shutil.copytree(tmp_path / "empty", tmp_path / "there-0")
    # Children of a process that has imported everything begin at once, so that kills hit the work.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.catalog.killed", "mlflow.tracking"])
    rng, killed, number = random.Random(kills), 0, 0
    while killed < kills:
        number += 1
        flag = tmp_path / f"begun-{number}"
        process = context.Process(target=replicate_all, args=(VERSIONS, there, flag))
        process.start()
        while not flag.exists() and process.is_alive():
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        process.join()
        assert process.exitcode in (0, -9)
        if process.exitcode == 0:  # it was faster: begin anew elsewhere
            there = shutil.copytree(tmp_path / "empty", tmp_path / f"there-{number}")
            continue
        killed += 1
        assert_nothing_torn(opened(there))
    assert len(replicate_all(VERSIONS, there, tmp_path / "last")) == VERSIONS
    target = opened(there)
    assert assert_nothing_torn(target) == VERSIONS
    assert list(target.versions()) == list(source(VERSIONS).versions())
    assert replicate_all(VERSIONS, there, tmp_path / "again") == [0] * VERSIONS
