"""The training loop: resumable to the bit, the same on two ranks as on one, honest about itself."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from catalog.adapt.recipe import Recipe  # noqa: E402
from catalog.errors import BadFile, UsageError  # noqa: E402
from sample_models.batches import Batch, picked  # noqa: E402
from sample_models.ranks import Ranks  # noqa: E402
from sample_models.snapshot import FILE  # noqa: E402
from tests.sample_models.toy_learner import STEPS, ToyLearner, as_json, run  # noqa: E402

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.sample_models.toy_learner"]
ALONE = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(as_json(run(Recipe())))
    return found


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", [0, 1, 7, 23, STEPS - 1])
def test_a_run_that_crashed_at_any_step_goes_on_to_the_same_result(
    step: int, tmp_path: Path, whole: dict[str, Any]
) -> None:
    class Crashing(ToyLearner):
        def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
            if batch.step == step:
                raise Crash
            yield from super().losses(batch)

    with pytest.raises(Crash):
        run(Recipe(), learner=Crashing, folder=tmp_path, snapshot_s=0.0)
    again = run(Recipe(), folder=tmp_path, resume=True, snapshot_s=0.0)
    assert json.loads(as_json(again)) == whole


def test_a_run_killed_at_a_random_moment_goes_on_to_the_same_result(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    """SIGKILL, twice; nothing that the process holds in memory survives it."""
    folder, out = tmp_path / "unfinished", tmp_path / "out.json"
    moments = random.Random(0)
    for _ in range(2):
        before = _bytes(folder / FILE)
        process = subprocess.Popen([*COMMAND, str(out), str(folder)], cwd=ROOT, env=ALONE)
        while _bytes(folder / FILE) == before:  # it has gone on
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.wait()
        assert not out.exists()
    subprocess.run([*COMMAND, str(out), str(folder)], cwd=ROOT, env=ALONE, check=True)
    assert json.loads(out.read_text()) == whole


def test_asked_to_end_a_run_leaves_a_snapshot_and_goes_on_to_the_same_result(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    class Stopped(ToyLearner):
        def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
            if batch.step == 12:
                os.kill(os.getpid(), signal.SIGTERM)
            yield from super().losses(batch)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        run(Recipe(), learner=Stopped, folder=tmp_path)
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert json.loads(as_json(run(Recipe(), folder=tmp_path, resume=True))) == whole


def test_two_ranks_give_the_model_of_one_with_the_same_global_batch(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outs = [tmp_path / f"{rank}.json" for rank in range(2)]
    ranks = []
    for rank, out in enumerate(outs):
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
        ranks.append(subprocess.Popen([*COMMAND, str(out)], cwd=ROOT, env={**ALONE, **place}))
    assert [process.wait(timeout=300) for process in ranks] == [0, 0]
    first, second = (json.loads(out.read_text()) for out in outs)
    assert first == second
    for name, weights in whole["weights"].items():
        np.testing.assert_allclose(first["weights"][name], weights, rtol=1e-4, atol=1e-5)
    for (step, loss, score), wanted in zip(first["curve"], whole["curve"], strict=True):
        assert step == wanted[0]
        assert score == pytest.approx(wanted[2], rel=1e-4)
        assert loss == (None if wanted[1] is None else pytest.approx(wanted[1], rel=1e-4))


def test_a_batch_that_the_ranks_cannot_share_is_refused() -> None:
    device = torch.device("cpu")
    shares = [Ranks(rank, 4, device).share(8) for rank in range(4)]
    assert [row for share in shares for row in range(8)[share]] == list(range(8))
    with pytest.raises(UsageError, match="cannot be shared by 4"):
        Ranks(0, 4, device).share(10)


def test_every_row_is_seen_once_per_epoch_in_another_order() -> None:
    rows = np.concatenate([picked(1, step, 6, 10) for step in range(10)])
    epochs = rows.reshape(6, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert not np.array_equal(picked(1, 0, 6, 10), picked(2, 0, 6, 10))


def test_an_unfinished_run_is_neither_overwritten_nor_continued_by_mistake(tmp_path: Path) -> None:
    run(Recipe(), folder=tmp_path, snapshot_s=0.0)
    with pytest.raises(UsageError, match="unfinished run"):
        run(Recipe(), folder=tmp_path)
    with pytest.raises(UsageError, match="other settings or other data"):
        run(Recipe(ema=0.5), folder=tmp_path, resume=True)
    (tmp_path / FILE).write_bytes(b"torn")
    with pytest.raises(BadFile, match="not a snapshot"):
        run(Recipe(), folder=tmp_path, resume=True)


def test_patience_ends_a_run_that_no_longer_improves() -> None:
    scores = iter([5.0, 4.0, *[6.0] * STEPS])
    done = run(Recipe(patience=3), judge=lambda _: next(scores))
    assert (done.stopped, done.best) == ("patience", done.curve[1].step)
    assert len(done.curve) == 2 + 3


def test_a_run_that_diverges_says_so_and_keeps_what_was_good() -> None:
    class Exploding(ToyLearner):
        def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
            ((name, loss),) = super().losses(batch)
            yield name, loss * (math.nan if batch.step >= 10 else 1)

    done = run(Recipe(), learner=Exploding)
    assert done.stopped == "diverged"
    assert done.steps < STEPS
    assert all(np.isfinite(value).all() for value in done.checkpoint.weights.values())


def test_the_time_waiting_for_slow_data_is_measured() -> None:
    class SlowDisk(np.ndarray):
        def __getitem__(self, rows: Any) -> Any:
            if isinstance(rows, np.ndarray):
                time.sleep(0.02)
            return np.asarray(super().__getitem__(rows))

    class Reading(ToyLearner):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.examples = {**self.examples, "x": self.examples["x"].view(SlowDisk)}

    assert run(Recipe(), learner=Reading).pace.waiting > 0.5 > run(Recipe()).pace.waiting


def test_a_memory_mapped_array_is_as_good_as_one_in_memory(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    class Mapped(ToyLearner):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            for name, array in self.examples.items():
                np.save(tmp_path / name, array)
            self.examples = {
                name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in self.examples
            }

    assert json.loads(as_json(run(Recipe(), learner=Mapped))) == whole


def test_a_run_is_tracked_in_mlflow_and_goes_on_in_the_same_run(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = mlflow.tracking.MlflowClient(tracking_uri=uri)
    client.create_experiment("catalog train", artifact_location=str(tmp_path / "artifacts"))
    folder = tmp_path / "unfinished"

    class Stopped(ToyLearner):
        def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
            if batch.step == 12:
                os.kill(os.getpid(), signal.SIGTERM)
            yield from super().losses(batch)

    with pytest.raises(SystemExit):
        run(Recipe(), learner=Stopped, folder=folder, mlflow=uri)
    done = run(Recipe(), folder=folder, resume=True, mlflow=uri)
    place = client.get_experiment_by_name("catalog train").experiment_id
    (tracked,) = client.search_runs([place])
    scores = client.get_metric_history(tracked.info.run_id, "w1_geomean")
    assert {m.step: m.value for m in scores} == {j.step: j.score for j in done.curve if j.step}
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["steps"] == str(STEPS)


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
