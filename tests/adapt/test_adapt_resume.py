"""An adaptation that was killed goes on, and ends as if nobody had touched it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2] / "sample_models"
PARENT = ROOT / "versions" / "vae-pbwo4"
DATA = ROOT / "data" / "par04-siw-electron.h5"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
WORDS = (
    "-m", "catalog", "adapt", f"{PARENT}/", "--data", str(DATA), "--showers", "40",
    "--steps", "60", "--snapshot", "0.01s", "--out", "child", "--result", "result.json",
)  # fmt: skip


def start(place: Path, *words: str) -> subprocess.Popen[bytes]:
    place.mkdir(exist_ok=True)
    environment = {**os.environ, "CATALOG_HOME": str(place / "home"), "OMP_NUM_THREADS": "1"}
    with (place / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *words], cwd=place, env=environment, stdout=log, stderr=log
        )


def finish(place: Path, *words: str) -> dict[str, bytes]:
    process = start(place, *words)
    assert process.wait(300) == 0, (place / "log").read_text()
    assert not (place / "child.unfinished").exists()
    return {path.name: path.read_bytes() for path in (place / "child").iterdir()}


def kill_at(path: Path, process: subprocess.Popen[bytes], kind: signal.Signals) -> int:
    while not path.exists():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(kind)
    return process.wait(60)


@pytest.mark.slow
def test_killed_while_adapting_or_training_the_rival_it_goes_on_to_the_same_bytes(
    tmp_path: Path,
) -> None:
    whole = finish(tmp_path / "whole", *WORDS)
    place = tmp_path / "cut"
    for what, kind in (("adapting", signal.SIGKILL), ("from scratch", signal.SIGTERM)):
        snapshot = place / "child.unfinished" / what / "snapshot.safetensors"
        words = WORDS if what == "adapting" else (*WORDS, "--resume")
        code = kill_at(snapshot, start(place, *words), kind)
        assert code == (-9 if kind == signal.SIGKILL else 143)
        assert not (place / "child").exists()
    assert "repeat it with --resume" in (place / "log").read_text()
    assert finish(place, *WORDS, "--resume") == whole
    told = json.loads((place / "result.json").read_text())
    assert told["steps_done"] == 60


@pytest.mark.slow
def test_without_resume_an_unfinished_run_is_neither_overwritten_nor_continued(
    tmp_path: Path,
) -> None:
    snapshot = tmp_path / "child.unfinished" / "adapting" / "snapshot.safetensors"
    kill_at(snapshot, start(tmp_path, *WORDS), signal.SIGKILL)
    before = snapshot.read_bytes()
    assert start(tmp_path, *WORDS).wait(60) == 2
    assert snapshot.read_bytes() == before


@pytest.mark.slow
def test_two_processes_of_torchrun_leave_one_version_and_one_record(tmp_path: Path) -> None:
    files = finish(tmp_path, *TORCHRUN, *WORDS)
    assert "model.onnx" in files
    records = (tmp_path / "home" / "adaptations.jsonl").read_text().splitlines()
    assert [bool(json.loads(line)["model"]) for line in records] == [True, False]
    assert json.loads(records[0])["device"].endswith("2 processes")
