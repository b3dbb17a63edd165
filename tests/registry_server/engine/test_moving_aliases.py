"""Names whose meaning changes while requests come in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import CatalogError, NotFound
from catalog.index import Row, open_index
from catalog.settings import Settings
from catalog.stores.protocol import Alias
from registry_server.engine import CatalogSource, Engine, Found, MemorySource

X = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}


@pytest.mark.parametrize("refs", [[], ["affine@champion"]])
def test_an_alias_moves_under_load_without_a_failed_request(versions, refs: list[str]) -> None:
    source = MemorySource([versions["affine@1"], versions["affine@2"]], {("affine", "champion"): 1})
    engine = Engine(source, threads=2, only=bool(refs))
    asyncio.run(engine.pin(refs))
    right: dict[int, bytes] = {}
    seen: set[int] = set()
    stop = asyncio.Event()

    async def caller() -> None:
        while not stop.is_set():
            model, outputs = await engine.infer("affine", "champion", X, ["y"])
            assert outputs["y"].tobytes() == right[model.version]
            seen.add(model.version)
            await asyncio.sleep(0)

    async def work() -> None:
        probe = Engine(source, threads=1)
        for number in (1, 2):
            _, outputs = await probe.infer("affine", str(number), X, ["y"])
            right[number] = outputs["y"].tobytes()
        probe.close()
        callers = [asyncio.create_task(caller()) for _ in range(8)]
        for turn in range(20):
            number = 2 - turn % 2
            source.aliases[("affine", "champion")] = number
            await engine.refresh()
            assert (await engine.model("affine", "champion")).version == number
            await asyncio.sleep(0.005)
        stop.set()
        await asyncio.gather(*callers)

    asyncio.run(work())
    assert seen == {1, 2}
    assert sum(t.failures["BACKEND"] + t.fail.count for *_, t, _ in engine.statistics()) == 0
    engine.close()


def test_the_newest_version_takes_over_where_none_is_named(versions) -> None:
    source = MemorySource([versions["affine@1"]])
    engine = Engine(source, threads=1)

    async def work() -> None:
        assert (await engine.model("affine")).version == 1
        source.versions = [versions["affine@1"], versions["affine@2"]]
        await engine.refresh()
        assert (await engine.model("affine")).version == 2
        assert (await engine.model("affine", "1")).version == 1

    asyncio.run(work())
    engine.close()


def test_if_the_new_version_does_not_load_the_old_one_goes_on(versions, tmp_path: Path) -> None:
    import dataclasses

    (tmp_path / "model.onnx").write_bytes(b"not ONNX")
    broken = dataclasses.replace(versions["affine@2"], folder=tmp_path)
    source = MemorySource([versions["affine@1"], broken], {("affine", "champion"): 1})
    engine = Engine(source, threads=1, only=True)
    asyncio.run(engine.pin(["affine@champion"]))

    async def work() -> None:
        source.aliases[("affine", "champion")] = 2
        with pytest.raises(CatalogError):
            await engine.refresh()
        assert (await engine.model("affine", "champion")).version == 1

    asyncio.run(work())
    engine.close()


def test_with_references_nothing_else_is_served(versions) -> None:
    source = MemorySource(versions.values(), {("affine", "old"): 1, ("affine", "champion"): 2})
    engine = Engine(source, threads=1, only=True)
    asyncio.run(engine.pin(["affine@champion"]))

    async def work() -> None:
        for version in (None, "2", "champion"):
            assert (await engine.model("affine", version)).version == 2
        for name, version in (("gather", None), ("affine", "1"), ("affine", "old")):
            with pytest.raises(NotFound, match="unknown model"):
                await engine.model(name, version)
        with pytest.raises(NotFound) as caught:
            await engine.model("affine", "nobody")
        assert caught.value.hint == "versions served: 2"

    asyncio.run(work())
    engine.close()


def test_a_pinned_model_that_was_unloaded_stays_away_until_it_is_loaded(versions) -> None:
    engine = Engine(MemorySource([versions["affine@1"]]), threads=1, only=True)
    asyncio.run(engine.pin(["affine"]))

    async def work() -> None:
        engine.unload("affine")
        assert await engine.index() == [
            (Found("affine", 1, versions["affine@1"].digest), "unloaded")
        ]
        with pytest.raises(NotFound, match="no available versions"):
            await engine.model("affine")
        await engine.load("affine")
        assert (await engine.model("affine")).version == 1

    asyncio.run(work())
    engine.close()


def test_the_catalog_says_what_an_alias_means_and_when_it_may_have_moved(tmp_path: Path) -> None:
    source = CatalogSource(Settings(tmp_path / "home", tmp_path / "cache", "mlflow"))
    with open_index(tmp_path / "home") as index:
        index.put(*[Row("mlflow", "a", n, f"sha256:{n:064x}", card="{}") for n in (1, 2, 3)])
        index.put(Row("mlflow", "foreign", 1, ""))
        index.set_alias("mlflow", Alias("a", "champion", 1))
        before = source.mark()
        assert source.find("a").version == 3
        assert source.find("a@champion") == Found("a", 1, f"sha256:{1:064x}")
        index.set_alias("mlflow", Alias("a", "champion", 2))
        assert source.mark() != before
        assert source.find("a@champion").version == 2
        assert source.mark() == source.mark()
    with pytest.raises(NotFound, match="nothing verifies it"):
        source.find("foreign")
    assert [found.ref for found in source.listing()] == ["a@1", "a@2", "a@3"]
    assert source.listing("foreign") == []
