"""Runs launched on this machine: told truthfully, resumed, collected once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.jobs.conftest import SMALL, Catalog, eventually

pytestmark = pytest.mark.slow
LONG = (*SMALL[:-2], "20000", "--no-scratch", "--snapshot", "0.1s")


def test_a_launched_run_ends_and_its_child_is_published_with_its_lineage(catalog: Catalog) -> None:
    run = catalog.launch(*SMALL, "--on", "local", "--publish")["id"]
    assert catalog.wait(run, "done", "failed")["state"] == "done"
    told = json.loads(catalog("runs", "collect", run, "--json"))
    again = json.loads(catalog("runs", "collect", run[:-2], "--json"))
    assert told == again
    assert told["published"] == "vae-clic-siw@1"
    card = json.loads(catalog("show", "vae-clic-siw", "--json"))["card"]
    assert card["lineage"]["parent_ref"] == "vae-pbwo4@1"
    records = json.loads(catalog("runs", "--json"))["runs"]
    assert [(it["model_ref"], it["where"]) for it in records] == [("vae-pbwo4@1", "local")]
    assert catalog.status(run)["collected"] is True


def test_cancelled_it_leaves_a_snapshot_and_resumed_it_goes_on(catalog: Catalog) -> None:
    told = catalog.launch(*LONG, "--on", "local")
    run, folder = told["id"], Path(told["folder"])
    snapshot = folder / "child.unfinished" / "adapting" / "snapshot.safetensors"
    eventually(snapshot.exists)
    assert "running" in catalog("runs", "collect", run, code=2)
    catalog("runs", "cancel", run)
    assert catalog.wait(run, "cancelled", "failed", "lost")["state"] == "cancelled"
    size = snapshot.stat().st_mtime_ns
    catalog("runs", "resume", run)
    eventually(lambda: snapshot.stat().st_mtime_ns > size)
    assert catalog.status(run)["attempts"] == 2
    catalog("runs", "cancel", run)
    catalog.wait(run, "cancelled")


@pytest.mark.parametrize("who", ["node", "training"])
def test_killed_it_is_not_called_running_nor_done(catalog: Catalog, who: str) -> None:
    told = catalog.launch(*LONG, "--on", "local")
    run, folder = told["id"], Path(told["folder"])
    eventually((folder / "child.unfinished" / "adapting" / "snapshot.safetensors").exists)
    node = json.loads((folder / "attempts.jsonl").read_text().splitlines()[0])["pid"]
    children = Path(f"/proc/{node}/task/{node}/children")
    if not children.exists():
        pytest.skip("no /proc: the training process cannot be found")
    training = int(children.read_text().split()[0])
    os.kill(node if who == "node" else training, signal.SIGKILL)
    state = catalog.wait(run, "lost", "failed")
    assert state["state"] == ("lost" if who == "node" else "failed")
    eventually(lambda: not Path(f"/proc/{training}").exists())
    assert "resume" in catalog("runs", "collect", run, code=2)


def test_a_dry_run_starts_nothing_and_can_be_started_later(catalog: Catalog) -> None:
    told = catalog.launch(*SMALL, "--on", "local", "--dry-run")
    assert (told["state"], told["files"]) == ("ready", ["job.yaml", "run.json"])
    catalog("runs", "resume", told["id"])
    assert catalog.wait(told["id"], "done", "failed")["state"] == "done"
    assert "nothing to resume" in catalog("runs", "resume", told["id"], code=2)


def test_two_processes_on_this_machine_adapt_together(catalog: Catalog) -> None:
    run = catalog.launch(*SMALL, "--on", "local", "--size", "1x2")["id"]
    assert catalog.wait(run, "done", "failed")["state"] == "done"
    assert json.loads(catalog("runs", "collect", run, "--json"))["device"].endswith("2 processes")
