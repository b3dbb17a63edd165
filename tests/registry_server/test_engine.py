"""The engine without a server around it."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_models import Version, save, value

from catalog.errors import BadFile, MissingExtra, UsageError
from registry_server.engine import Engine
from registry_server.errors import RunFailed


@pytest.fixture
def engine():
    engine = Engine(threads=1)
    yield engine
    engine.close()


def test_a_version_is_found_by_number_and_the_newest_by_name(engine, versions) -> None:
    for ref in ("affine@2", "affine@1"):
        engine.load(versions[ref])
    assert engine.find("affine").ref == "affine@2"
    assert engine.find("affine", "1").ref == "affine@1"
    assert [model.ref for model in engine.models()] == ["affine@1", "affine@2"]


def test_loading_the_same_version_twice_keeps_one_session(engine, versions) -> None:
    first = engine.load(versions["affine@1"])
    assert engine.load(versions["affine@1"]) is first


def test_two_digests_under_one_number_are_refused(engine, versions) -> None:
    engine.load(versions["affine@1"])
    other = dataclasses.replace(versions["affine@2"], version=1)
    with pytest.raises(UsageError, match="two different models are called affine@1"):
        engine.load(other)


def test_work_runs_off_the_event_loop(engine) -> None:
    async def where() -> str:
        return await engine.in_thread(lambda: threading.current_thread().name)

    assert asyncio.run(where()).startswith("engine")


def test_only_the_wanted_outputs_are_computed_in_their_order(engine, versions) -> None:
    model = engine.load(versions["affine@1"])
    x = {"x": np.ones((2, 4), np.float32)}
    assert list(model.infer(x, ["z"])) == ["z"]
    assert list(model.infer(x, ["z", "y"])) == ["z", "y"]
    assert list(model.infer(x)) == ["y", "z"]


def test_a_failure_inside_the_model_tells_nothing_of_its_inside(engine, versions) -> None:
    model = engine.load(versions["gather@1"])
    with pytest.raises(RunFailed) as caught:
        model.infer({"x": np.ones(1), "k": np.array([7])})
    assert "Gather" not in str(caught.value)
    assert "out of data bounds" in str(caught.value.__cause__)


def test_a_file_that_is_no_model_is_a_bad_file(engine, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not ONNX")
    with pytest.raises(BadFile, match="cannot load"):
        engine.load(Version("broken", 1, "sha256:" + "0" * 64, tmp_path))
    assert engine.models() == []


def test_an_output_that_is_no_tensor_is_refused_with_a_remedy(engine, tmp_path: Path) -> None:
    kind = helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, ["batch"])
    )
    save(
        tmp_path / "seq",
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, ["batch"])],
        [onnx.ValueInfoProto(name="y", type=kind)],
    )
    with pytest.raises(UsageError) as caught:
        engine.load(Version("seq", 1, "sha256:" + "0" * 64, tmp_path / "seq"))
    assert "'y' is a seq(tensor(float))" in caught.value.message
    assert "zipmap=False" in caught.value.hint


def test_without_onnxruntime_the_extra_to_install_is_named(engine, versions, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra) as caught:
        engine.load(versions["affine@1"])
    assert caught.value.hint == "pip install 'hep-model-catalog[cpu]'"
