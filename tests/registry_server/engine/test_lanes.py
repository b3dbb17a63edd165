"""The queue before a model: who shares a run, who waits, who is given up."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from tiny_models import fixed, row_sum

from registry_server.engine import Engine, Found, MemorySource
from registry_server.engine.lane import Lane
from registry_server.engine.load import load
from registry_server.engine.model import Model
from registry_server.engine.statistics import Tally
from registry_server.errors import Busy, Expired, RunFailed
from registry_server.tensors import Limits


def loaded(version: Any, **limits: int) -> Model:
    found = Found(version.name, version.version, version.digest)
    return load(version, found, Limits(**limits), 1)


@dataclasses.dataclass
class Gate:
    """A session that runs only while the gate is open, and remembers the rows of every run."""

    session: Any
    open: threading.Event = dataclasses.field(default_factory=threading.Event)
    rows: list[int] = dataclasses.field(default_factory=list)

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert self.open.wait(20)
        self.rows.append(len(next(iter(inputs.values()))))
        return self.session.run(names, inputs)


def gated(
    version: Any, work: Callable[[Lane, Gate], Coroutine[Any, Any, None]], **limits: int
) -> Gate:
    """Do `work` on a lane of width 1 whose model is busy until the gate is opened."""
    model = loaded(version, **limits)
    gate = Gate(model.session)
    # 1 s a row: never quick enough to run on the event loop, which the gate would block.
    slow = dataclasses.replace(model, session=gate, row_seconds=1.0)

    async def all_of_it() -> None:
        with ThreadPoolExecutor(1) as pool:
            try:
                await work(Lane(slow, pool, 1, Tally()), gate)
            finally:
                gate.open.set()

    asyncio.run(all_of_it())
    return gate


def k(*values: int) -> dict[str, np.ndarray]:
    return {"x": np.array(values, float) + 1.0, "k": np.array(values)}


async def begun(lane: Lane, *inputs: dict[str, np.ndarray]) -> list[asyncio.Task]:
    """Requests in the queue behind one that runs."""
    tasks = []
    for each in inputs:
        tasks.append(asyncio.create_task(lane.submit(each)))
        for _ in range(3):
            await asyncio.sleep(0)
    assert lane.waiting == len(inputs) - 1
    return tasks


@pytest.mark.parametrize(
    ("ref", "batched"), [("affine@1", True), ("gather@1", True), ("identity@7", True)]
)
def test_a_model_of_independent_rows_is_batched(versions, ref: str, batched: bool) -> None:
    model = loaded(versions[ref])
    assert (model.batch_rows > 1) is batched, model.unbatched


def test_a_model_whose_rows_depend_on_each_other_is_not_batched(versions, tmp_path: Path) -> None:
    version = dataclasses.replace(versions["affine@1"], folder=tmp_path / "sum")
    row_sum(version.folder)
    model = loaded(version)
    assert model.batch_rows == 0
    assert "not bit for bit" in model.unbatched


def test_a_model_of_fixed_size_is_not_batched(versions, tmp_path: Path) -> None:
    version = dataclasses.replace(versions["affine@1"], folder=tmp_path / "fixed")
    fixed(version.folder)
    model = loaded(version)
    assert model.batch_rows == 0
    assert model.row_seconds > 0
    assert "no free first axis" in model.unbatched


def test_requests_that_wait_share_one_run_and_get_their_own_rows(versions) -> None:
    async def work(lane: Lane, gate: Gate) -> None:
        tasks = await begun(lane, k(0), k(1, 2), k(2), k(0, 1, 2))
        gate.open.set()
        answers = await asyncio.gather(*tasks)
        assert [list(a["picked"]) for a in answers] == [
            [10], [20, 30], [30], [10, 20, 30],
        ]  # fmt: skip
        assert lane.tally.success.count == 4
        assert (lane.tally.runs, lane.tally.rows) == (2, 7)

    assert gated(versions["gather@1"], work).rows == [1, 6]


def test_a_bad_request_spoils_only_itself(versions) -> None:
    async def work(lane: Lane, gate: Gate) -> None:
        tasks = await begun(lane, k(0), k(1), k(99), k(2))
        gate.open.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers.pop(2), RunFailed)
        assert [list(a["picked"]) for a in answers] == [[10], [20], [30]]
        assert lane.tally.failures["BACKEND"] == 1
        assert lane.tally.success.count == 3

    assert gated(versions["gather@1"], work).rows == [1, 3, 1, 1, 1]


def test_no_run_is_larger_than_what_was_proven(versions) -> None:
    async def work(lane: Lane, gate: Gate) -> None:
        tasks = await begun(lane, k(0), *[k(*[1] * 20) for _ in range(5)])
        gate.open.set()
        await asyncio.gather(*tasks)

    rows = gated(versions["gather@1"], work).rows
    assert rows == [1, 60, 40]
    assert max(rows) <= loaded(versions["gather@1"]).batch_rows


def test_requests_for_different_outputs_do_not_share_a_run(versions) -> None:
    async def work(lane: Lane, gate: Gate) -> None:
        first = await begun(lane, k(0), k(1))
        other = asyncio.create_task(lane.submit(k(2), ["scaled"]))
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*first)
        assert list(await other) == ["scaled"]

    assert gated(versions["gather@1"], work).rows == [1, 1, 1]


def test_a_request_past_its_deadline_is_told_so_and_never_runs(versions) -> None:
    async def work(lane: Lane, gate: Gate) -> None:
        (first,) = await begun(lane, k(0))
        deadline = asyncio.get_running_loop().time() + 0.01
        with pytest.raises(Expired, match="timeout"):
            await lane.submit(k(1), deadline=deadline)
        assert lane.waiting == 0
        gate.open.set()
        await first
        assert lane.tally.failures["REJECTED"] == 1

    assert gated(versions["gather@1"], work).rows == [1]


def test_a_cancelled_request_leaves_the_queue(versions) -> None:
    async def work(lane: Lane, gate: Gate) -> None:
        first, second, third = await begun(lane, k(0), k(1), k(2))
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert lane.waiting == 1
        gate.open.set()
        await asyncio.gather(first, third)
        assert lane.tally.failures["CANCELED"] == 1

    assert gated(versions["gather@1"], work).rows == [1, 1]


def test_a_full_queue_says_try_again(versions) -> None:
    async def work(lane: Lane, gate: Gate) -> None:
        tasks = await begun(lane, k(0), k(1), k(2))
        with pytest.raises(Busy):
            await lane.submit(k(0))
        gate.open.set()
        await asyncio.gather(*tasks)
        await lane.submit(k(0))

    gated(versions["gather@1"], work, queue=2)


def test_thirty_two_callers_of_mixed_models_and_sizes_get_their_own_rows(versions) -> None:
    """Bit for bit what ONNX Runtime gives for each request alone."""
    engine = Engine(MemorySource(versions.values()), threads=2)
    sessions = {
        ref: ort.InferenceSession(versions[ref].folder / "model.onnx")
        for ref in ("affine@1", "affine@2", "gather@1")
    }

    async def caller(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(25):
            ref = str(rng.choice(list(sessions)))
            name, _, number = ref.partition("@")
            n = int(rng.integers(1, 40))
            x: dict[str, np.ndarray] = {"x": rng.normal(size=(n, 4)).astype(np.float32)}
            if name == "gather":
                x = {"x": rng.normal(size=n), "k": rng.integers(0, 3, n)}
            model, got = await engine.infer(name, number, x)
            assert model.ref == ref
            for output, alone in zip(got, sessions[ref].run(None, x), strict=True):
                assert got[output].tobytes() == alone.tobytes()

    async def everybody() -> None:
        await asyncio.gather(*(caller(seed) for seed in range(32)))

    asyncio.run(everybody())
    tallies = [tally for *_, tally, _ in engine.statistics()]
    assert sum(it.success.count for it in tallies) == 32 * 25
    assert sum(it.runs for it in tallies) < 32 * 25  # some shared a run
    engine.close()
