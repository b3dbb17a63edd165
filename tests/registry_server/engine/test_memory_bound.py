"""Models come and go within a bound."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tiny_models import Version, dense

from registry_server.engine import Engine, MemorySource
from registry_server.engine.session import give_back_memory, held_bytes
from registry_server.errors import Busy, NoRoom
from registry_server.tensors import Limits

SIZE = 256
GUESS = 3 * 4 * SIZE**2 + (3 << 20)  # what is set aside for a model of this size, and more


def made(root: Path, count: int, size: int = SIZE) -> list[Version]:
    versions = []
    for i in range(count):
        folder = root / f"m{i}"
        dense(folder, i, size)
        versions.append(Version(f"m{i}", 1, f"sha256:{i:064x}", folder))
    return versions


def expected(version: Version, x: np.ndarray) -> np.ndarray:
    weight = np.random.default_rng(int(version.name[1:])).normal(size=(x.shape[1],) * 2)
    return x @ weight.astype(np.float32)


async def ask_in_random_order(
    engine: Engine, versions: list[Version], times: int, after: Callable[[], None] = lambda: None
) -> int:
    """Ask from eight callers at once; the largest number of models ever loaded."""
    order = iter(np.random.default_rng(0).permutation(np.arange(times) % len(versions)))
    most = 0

    async def caller() -> None:
        nonlocal most
        for i in order:
            x = np.full((1, SIZE), i, np.float32)
            _, got = await engine.infer(versions[i].name, None, {"x": x})
            assert np.allclose(got["y"], expected(versions[i], x), rtol=1e-4, atol=1e-2)
            used, bound = engine.memory
            assert used <= bound
            after()
            most = max(most, len(engine.models()))

    await asyncio.gather(*(caller() for _ in range(8)))
    return most


def test_two_hundred_models_pass_through_room_for_twenty(tmp_path: Path) -> None:
    versions = made(tmp_path, 200)
    probe = Engine(MemorySource(versions), threads=1)
    asyncio.run(probe.model("m0"))
    each = asyncio.run(probe.model("m1")).bytes
    probe.close()
    engine = Engine(MemorySource(versions), threads=1, memory=20 * each + GUESS)
    most = asyncio.run(ask_in_random_order(engine, versions, 400))
    assert 5 < most < 50
    assert len(engine.statistics()) == 200
    assert sum(tally.success.count for *_, tally, _ in engine.statistics()) == 400
    engine.close()
    assert engine.memory[0] == 0


@pytest.mark.slow
def test_a_thousand_models_leave_nothing_behind(tmp_path: Path) -> None:
    bound = 100 << 20
    # As a server: in a process whose memory nothing else takes or frees.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        loaded, closed = alone.submit(_grown_by_a_thousand, tmp_path, bound).result()
    assert bound // 2 < loaded < bound + (4 << 20)
    assert closed < 4 << 20


def _grown_by_a_thousand(root: Path, bound: int) -> tuple[int, int]:
    """Bytes more than with one model: at most after any of 3,000 requests, and when closed."""
    versions = made(root, 1000, SIZE)
    engine = Engine(MemorySource(versions), threads=1, memory=bound)
    asyncio.run(engine.model("m0"))  # ONNX Runtime's own
    before = held_bytes() - engine.memory[0]
    loaded = 0

    def look() -> None:
        nonlocal loaded
        loaded = max(loaded, held_bytes() - before)

    asyncio.run(ask_in_random_order(engine, versions, 3000, look))
    engine.close()
    give_back_memory()
    return loaded, held_bytes() - before


def test_the_measured_size_is_that_of_the_weights(tmp_path: Path) -> None:
    version = made(tmp_path, 2, 1024)[1]
    engine = Engine(MemorySource([*made(tmp_path / "b", 1), version]), threads=1)
    asyncio.run(engine.model("m0"))
    assert asyncio.run(engine.model("m1")).bytes == pytest.approx(4 * 1024**2, rel=0.5)
    engine.close()


def test_pinned_models_stay_and_the_least_recently_used_leaves(tmp_path: Path) -> None:
    versions = made(tmp_path, 40)
    engine = Engine(MemorySource(versions), threads=1, memory=2 * GUESS)
    asyncio.run(engine.pin(["m0"]))

    async def touch_all() -> None:
        for version in versions[1:]:
            await engine.model("m1")
            await engine.model(version.name)

    asyncio.run(touch_all())
    left = {model.name for model in engine.models()}
    assert {"m0", "m1", "m39"} <= left
    assert "m2" not in left
    engine.close()


def test_what_runs_is_not_unloaded_and_who_waits_too_long_is_told(tmp_path: Path) -> None:
    versions = made(tmp_path, 2)
    limits = Limits(room_seconds=0.05)
    engine = Engine(MemorySource(versions), limits, threads=1, memory=GUESS - (900 << 10))

    async def work() -> None:
        async with engine.held("m0") as lane:
            with pytest.raises(Busy, match="no memory is free for m1@1"):
                await engine.model("m1")
            assert lane in engine._slots.lanes()
            waiting = asyncio.create_task(engine.model("m1"))
            await asyncio.sleep(0.01)
        assert (await waiting).ref == "m1@1"

    asyncio.run(work())
    assert [model.name for model in engine.models()] == ["m1"]
    engine.close()


def test_a_model_larger_than_the_bound_is_refused_for_good(tmp_path: Path) -> None:
    engine = Engine(MemorySource(made(tmp_path, 1)), threads=1, memory=1 << 20)
    with pytest.raises(NoRoom, match="m0@1 needs") as caught:
        asyncio.run(engine.model("m0"))
    assert "--memory-gb" in caught.value.hint
    assert engine.memory[0] == 0
    engine.close()


def test_unloading_waits_for_what_runs_and_gives_the_bytes_back(tmp_path: Path) -> None:
    engine = Engine(MemorySource(made(tmp_path, 1)), threads=1)

    async def work() -> None:
        x = {"x": np.ones((1, SIZE), np.float32)}
        async with engine.held("m0") as lane:
            engine.unload("m0")
            assert engine.models() == []
            assert engine.memory[0] > 0
            await lane.submit(x)
        assert engine.memory[0] == 0
        await engine.infer("m0", None, x)  # loaded again by the request

    asyncio.run(work())
    engine.close()
