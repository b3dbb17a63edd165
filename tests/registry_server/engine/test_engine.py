"""The engine without a server around it."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_models import Version, save, value

from catalog.errors import BadFile, MissingExtra, NotFound, UsageError
from registry_server.engine import Engine, MemorySource
from registry_server.errors import LoadFailed, RunFailed


@contextmanager
def pinned(*versions: Version) -> Iterator[Engine]:
    """An engine with these versions, the way `catalog serve REF` starts one."""
    engine = Engine(MemorySource(versions), threads=1, only=True)
    try:
        asyncio.run(engine.pin([f"{it.name}@{it.version}" for it in versions]))
        yield engine
    finally:
        engine.close()


def test_a_version_is_found_by_number_and_the_newest_by_name(versions) -> None:
    with pinned(versions["affine@2"], versions["affine@1"]) as engine:
        assert asyncio.run(engine.model("affine")).ref == "affine@2"
        assert asyncio.run(engine.model("affine", "1")).ref == "affine@1"
        assert [model.ref for model in engine.models()] == ["affine@1", "affine@2"]


def test_a_version_is_loaded_once_however_many_ask(versions, monkeypatch) -> None:
    source = MemorySource([versions["affine@1"]])
    engine = Engine(source, threads=1)

    async def ask() -> set[int]:
        return {id(m) for m in await asyncio.gather(*(engine.model("affine") for _ in range(8)))}

    assert len(asyncio.run(ask())) == 1
    engine.close()


def test_two_digests_under_one_number_are_refused(versions) -> None:
    other = dataclasses.replace(versions["affine@2"], version=1)
    source = MemorySource([versions["affine@1"]])
    engine = Engine(source, threads=1, only=True)
    asyncio.run(engine.pin(["affine@1"]))
    source.versions = [other]
    with pytest.raises(UsageError, match="two different models are called affine@1"):
        asyncio.run(engine.pin(["affine"]))
    engine.close()


def test_work_runs_off_the_event_loop(versions) -> None:
    async def where(engine: Engine) -> str:
        return await engine.in_thread(lambda: threading.current_thread().name)

    with pinned() as engine:
        assert asyncio.run(where(engine)).startswith("engine")


def test_only_the_wanted_outputs_are_computed_in_their_order(versions) -> None:
    x = {"x": np.ones((2, 4), np.float32)}
    with pinned(versions["affine@1"]) as engine:
        for wanted, given in ((["z"], ["z"]), (["z", "y"], ["z", "y"]), ([], ["y", "z"])):
            _, outputs = asyncio.run(engine.infer("affine", None, x, wanted))
            assert list(outputs) == given


def test_a_failure_inside_the_model_tells_nothing_of_its_inside(versions) -> None:
    inputs = {"x": np.ones(1), "k": np.array([7])}
    with pinned(versions["gather@1"]) as engine:
        with pytest.raises(RunFailed) as caught:
            asyncio.run(engine.infer("gather", None, inputs))
        assert "Gather" not in str(caught.value)
        assert "out of data bounds" in str(caught.value.__cause__)


def test_a_file_that_is_no_model_is_a_bad_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not ONNX")
    broken = Version("broken", 1, "sha256:" + "0" * 64, tmp_path)
    with pytest.raises(BadFile, match=r"model\.onnx"), pinned(broken):
        pass


def test_a_client_learns_only_that_a_model_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not ONNX")
    engine = Engine(MemorySource([Version("broken", 1, "sha256:" + "0" * 64, tmp_path)]))
    with pytest.raises(LoadFailed) as caught:
        asyncio.run(engine.model("broken"))
    assert caught.value.message == "broken@1 cannot be loaded"
    assert engine.models() == []
    engine.close()


def test_an_output_that_is_no_tensor_is_refused_with_a_remedy(tmp_path: Path) -> None:
    kind = helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, ["batch"])
    )
    save(
        tmp_path / "seq",
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, ["batch"])],
        [onnx.ValueInfoProto(name="y", type=kind)],
    )
    version = Version("seq", 1, "sha256:" + "0" * 64, tmp_path / "seq")
    with pytest.raises(UsageError) as caught, pinned(version):
        pass
    assert "'y' is a seq(tensor(float))" in caught.value.message
    assert "zipmap=False" in caught.value.hint


def test_without_onnxruntime_the_extra_to_install_is_named(versions, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra) as caught, pinned(versions["affine@1"]):
        pass
    assert caught.value.hint == "pip install 'hep-model-catalog[cpu]'"


@pytest.mark.parametrize("name", ["nope", "affine@1", "memory:affine", "", "../affine", "a\0b"])
@pytest.mark.parametrize("only", [True, False])
def test_only_a_plain_name_is_a_model(versions, name: str, only: bool) -> None:
    engine = Engine(MemorySource([versions["affine@1"]]), threads=1, only=only)
    asyncio.run(engine.pin(["affine@1"]))
    with pytest.raises(NotFound, match="unknown model"):
        asyncio.run(engine.model(name))
    engine.close()
