"""Messages to arrays: typed contents and raw ones are the same tensor, or a clear refusal."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw import Infer

from catalog.errors import UsageError
from registry_server.inference_grpc.coding import decode
from registry_server.tensors import DTYPES, Array, Limits

FIELDS = {
    "BOOL": "bool_contents", "INT64": "int64_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
}  # fmt: skip


def element(kind: str) -> Any:
    dtype = DTYPES[kind]
    if kind == "BOOL":
        return st.booleans()
    if kind == "BYTES":
        return st.text(max_size=5)
    if dtype.kind == "f":
        return st.floats(width=8 * dtype.itemsize)
    return st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def decoded(message: Any) -> Array:
    return decode(message.SerializeToString(), Limits())[2].inputs["x"]


@given(st.sampled_from(sorted(FIELDS)), st.data())
def test_typed_contents_are_the_same_tensor_as_raw_ones(kind: str, data: Any) -> None:
    elements = data.draw(st.lists(element(kind), min_size=6, max_size=6))
    message, raw = Infer(), Infer()
    for it in (message, raw):
        it.inputs.add(name="x", datatype=kind, shape=[2, 3])
    if kind == "BYTES":
        texts = [it.encode() for it in elements]
        message.inputs[0].contents.bytes_contents.extend(texts)
        raw.raw_input_contents.append(b"".join(struct.pack("<I", len(t)) + t for t in texts))
    else:
        getattr(message.inputs[0].contents, FIELDS[kind]).extend(elements)
        raw.raw_input_contents.append(np.array(elements, DTYPES[kind]).tobytes())
    first, second = decoded(message), decoded(raw)
    assert first.dtype == second.dtype == DTYPES[kind]
    assert first.shape == second.shape == (2, 3)
    if kind == "BYTES":
        assert first.tolist() == second.tolist()
    else:
        assert np.array_equal(first, second, equal_nan=DTYPES[kind].kind == "f")


def one(datatype: str = "FP32", shape: tuple[int, ...] = (2,), **contents: Any) -> Any:
    message = Infer()
    message.inputs.add(name="x", datatype=datatype, shape=shape, contents=contents or None)
    return message


def two_raws(message: Any) -> Any:
    message.raw_input_contents.extend([b"1234"] * 2)
    return message


def also_raw(message: Any) -> Any:
    message.raw_input_contents.append(bytes(8))
    return message


BAD = {
    "the field of another datatype": (
        one(fp64_contents=[1, 2]),
        "input 'x': FP32 data must be in fp32_contents, got 2 fp64_contents",
    ),
    "fields of two datatypes": (
        one(fp32_contents=[1, 2], int_contents=[1]),
        "input 'x': FP32 data must be in fp32_contents, got 1 int_contents",
    ),
    "too few": (
        one(fp32_contents=[1]),
        "input 'x': shape [2] has 2 elements, fp32_contents has 1",
    ),
    "nothing": (one(), "input 'x': shape [2] has 2 elements, fp32_contents has 0"),
    "beyond INT8": (
        one("INT8", int_contents=[127, 128]),
        "input 'x': INT8 holds -128 to 127, int_contents goes beyond",
    ),
    "beyond UINT16": (
        one("UINT16", uint_contents=[1 << 16, 0]),
        "input 'x': UINT16 holds 0 to 65535, uint_contents goes beyond",
    ),
    "FP16": (one("FP16", fp32_contents=[1, 2]), "input 'x': FP16 has no 'contents'"),
    "no UTF-8": (
        one("BYTES", bytes_contents=[b"a", b"\xff"]),
        "input 'x': element 1 of BYTES is not UTF-8 text",
    ),
    "both forms": (
        also_raw(one(fp32_contents=[1, 2])),
        "input 'x': expected either 'contents' or raw_input_contents, got both",
    ),
    "more raws than inputs": (two_raws(one()), "1 inputs, but 2 raw_input_contents"),
    "no inputs": (Infer(), "'inputs' must be a list of 1 to 256 tensors, got 0 of them"),
    "a shape beyond all memory": (
        one(shape=((1 << 63) - 1,) * 3),
        "input 'x': 'shape' has more than 67108864 elements, the limit",
    ),
    "a negative shape": (
        one(shape=(-1,)),
        "input 'x': axis 0 of 'shape' must be a whole number > 0, got -1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(case: str) -> None:
    message, text = BAD[case]
    with pytest.raises(UsageError) as caught:
        decoded(message)
    assert caught.value.message == text


def test_typed_contents_are_bounded_as_json_is() -> None:
    message = one(shape=(4000,), fp32_contents=[0.0] * 4000)
    with pytest.raises(UsageError, match="beside raw_input_contents, above the limit of 1000"):
        decode(message.SerializeToString(), Limits(json=1000))


def test_integers_beyond_what_a_float_holds_are_kept() -> None:
    values = [0, 1, 2, 3, 4, 2**63 + 1]
    message = Infer()
    message.inputs.add(name="x", datatype="UINT64", shape=[6])
    message.inputs[0].contents.uint64_contents.extend(values)
    assert decoded(message).tolist() == values
