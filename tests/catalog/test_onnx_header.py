"""The header reader says what onnx says, of any file, without holding its weights."""

from __future__ import annotations

import contextlib
import io
import tracemalloc

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from catalog.errors import BadFile
from catalog.onnx_file import tensor_of
from catalog.onnx_header import read_header
from tests.toys import generator_onnx


def model(weights: int = 10) -> onnx.ModelProto:
    """y = x + weights, of a free batch and a free size."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n", 3, None])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT16, [None, 3, 2])
    values = numpy_helper.from_array(np.zeros(weights, np.float16), "w")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return helper.make_model(helper.make_graph([node], "g", [x], [y], [values]))


@pytest.mark.parametrize("made", [model(), generator_onnx(0.03)], ids=["free sizes", "generator"])
def test_it_reads_what_onnx_reads(made: onnx.ModelProto) -> None:
    inputs, outputs = read_header(io.BytesIO(made.SerializeToString()))
    assert inputs == {info.name: tensor_of(info) for info in made.graph.input}
    assert outputs == {info.name: tensor_of(info) for info in made.graph.output}


def test_weights_are_skipped_not_held() -> None:
    data = model(8_000_000).SerializeToString()
    with io.BytesIO(data) as file:
        tracemalloc.start()
        try:
            read_header(file)
            assert tracemalloc.get_traced_memory()[1] < len(data) / 4
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04N.", b"PK\x03\x04" * 99, b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 99]
)
def test_what_is_no_onnx_is_refused(data: bytes) -> None:
    with pytest.raises(BadFile, match="not a valid ONNX model"):
        read_header(io.BytesIO(data))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused_never_worse(data: st.DataObject) -> None:
    good = model().SerializeToString()
    place = data.draw(st.integers(0, len(good) - 1))
    bad = good[:place] + data.draw(st.binary(max_size=8)) + good[place + 1 :]
    with contextlib.suppress(BadFile):
        read_header(io.BytesIO(bad))
