"""Every malformed body is a 4xx in the one error shape, and the server goes on."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from asking import INFER, LENGTH, ask, check_alive, check_refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROW = np.arange(4, dtype=np.float32)


def tensor(**changes: Any) -> dict[str, Any]:
    whole = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def request(*inputs: Any, **changes: Any) -> bytes:
    return json.dumps({"inputs": list(inputs) or [tensor()]} | changes).encode()


def planted(data: bytes) -> bytes:
    """A request with these very bytes in the place of its data."""
    return request(tensor(data="@")).replace(b'"@"', data)


def raw(size: Any, data: bytes, length: int = 0, **changes: Any) -> tuple[bytes, dict[str, str]]:
    """A request with one raw tensor; `length` is added to the true length of the JSON."""
    head = request(tensor(data=..., parameters={"binary_data_size": size}, **changes))
    return head + data, {LENGTH: str(len(head) + length)}


def with_length(text: str) -> tuple[bytes, dict[str, str]]:
    return request(), {LENGTH: text}


def identity(kind: str, data: Any) -> tuple[str, bytes]:
    name = f"in_{kind}"
    return "/v2/models/identity/infer", request(
        {"name": name, "datatype": kind, "shape": [1, 2], "data": data}
    )


BAD_BODIES: dict[str, bytes | tuple[bytes, dict[str, str]]] = {
    "empty": b"",
    "not JSON": b"hello",
    "cut JSON": request()[:-5],
    "JSON then rubbish": request() + b"x",
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "not UTF-8": b'{"inputs": "\xff\xfe"}',
    "UTF-16": request().decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + request(),
    "NUL in the JSON": request()[:5] + b"\0" + request()[5:],
    "10^5 deep lists": b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "10^5 deep objects": b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
    "10^5 deep data": planted(b"[" * 100_000 + b"]" * 100_000),
    "number of 10^5 digits": request(tensor(shape="@")).replace(
        b'"@"', b"[" + b"9" * 100_000 + b"]"
    ),
    "10^5 inputs": request(*([{}] * 100_000)),
    "same key twice": b'{"inputs": [], "inputs": []}',
    "no inputs": request(inputs=[]),
    "inputs absent": b"{}",
    "inputs null": request(inputs=None),
    "inputs an object": request(inputs={}),
    "input a number": request(7),
    "unknown key": request(ouputs=[]),
    "unknown key in a tensor": request(tensor(dtype="FP32")),
    "id a number": request(id=7),
    "parameters a list": request(parameters=[]),
    "binary_data_output text": request(parameters={"binary_data_output": "yes"}),
    "name absent": request(tensor(name=...)),
    "name empty": request(tensor(name="")),
    "name a number": request(tensor(name=3)),
    "name of another input": request(tensor(name="y")),
    "name with half a surrogate": request(tensor(name="\ud800")),
    "name of a path": request(tensor(name="../../etc/passwd\n")),
    "input twice": request(tensor(), tensor()),
    "datatype absent": request(tensor(datatype=...)),
    "datatype unknown": request(tensor(datatype="FP31")),
    "datatype of numpy": request(tensor(datatype="float32")),
    "datatype a list": request(tensor(datatype=["FP32"])),
    "datatype of another tensor": request(tensor(datatype="INT32", data=[1, 2, 3, 4])),
    "shape absent": request(tensor(shape=...)),
    "shape a number": request(tensor(shape=4)),
    "shape empty": request(tensor(shape=[])),
    "negative axis": request(tensor(shape=[-1, 4])),
    "two negative axes": request(tensor(shape=[-1, -4])),
    "axis of zero": request(tensor(shape=[0, 4], data=[])),
    "zero times huge": request(tensor(shape=[0, 2**62], data=[])),
    "axis a float": request(tensor(shape=[1.0, 4])),
    "axis true": request(tensor(shape=[True, 4])),
    "axis text": request(tensor(shape=["1", 4])),
    "axis null": request(tensor(shape=[None, 4])),
    "axes overflow 64 bits": request(tensor(shape=[2**32, 2**32])),
    "axes overflow to four": request(tensor(shape=[2**62 + 1, 4])),
    "axis of 2^64": request(tensor(shape=[2**64, 4])),
    "axis of -2^70": request(tensor(shape=[-(2**70), 4])),
    "1000 axes": request(tensor(shape=[1] * 1000)),
    "rank": request(tensor(shape=[4])),
    "size of an axis": request(tensor(shape=[2, 2])),
    "data absent": request(tensor(data=...)),
    "data null": request(tensor(data=None)),
    "data text": request(tensor(data="1,2,3,4")),
    "data an object": request(tensor(data={"0": 1})),
    "data short": request(tensor(data=[1, 2, 3])),
    "data long": request(tensor(data=[1, 2, 3, 4, 5])),
    "data with text": request(tensor(data=[1, 2, 3, "4"])),
    "data with null": request(tensor(data=[1, 2, 3, None])),
    "data with true": request(tensor(data=[1, 2, 3, True])),
    "data with a list": request(tensor(data=[1, 2, 3, [4]])),
    "data ragged": request(tensor(shape=[2, 4], data=[[1, 2, 3, 4], [1, 2, 3]])),
    "data nested too deep": request(tensor(data=[[[1], [2], [3], [4]]])),
    "data nested the other way": request(tensor(shape=[2, 4], data=[[1, 2]] * 4)),
    "NaN": request(tensor(data=[1, 2, 3, float("nan")])),
    "Infinity": request(tensor(data=[1, 2, 3, float("inf")])),
    "-Infinity": request(tensor(data=[1, 2, 3, -float("inf")])),
    "NaN as text": request(tensor(data=[1, 2, 3, "NaN"])),
    "1e999": request().replace(b"4.0", b"1e999"),
    "above the largest FP32": request(tensor(data=[1, 2, 3, 1e39])),
    "whole number beyond doubles": request(tensor(data=[1, 2, 3, 10**400])),
    "outputs a list of text": request(outputs=["y"]),
    "outputs empty text": request(outputs=""),
    "outputs false": request(outputs=False),
    "outputs text": request(outputs="y"),
    "output unknown": request(outputs=[{"name": "q"}]),
    "output twice": request(outputs=[{"name": "y"}, {"name": "y"}]),
    "output with data": request(outputs=[{"name": "y", "data": []}]),
    "binary_data a number": request(outputs=[{"name": "y", "parameters": {"binary_data": 1}}]),
    "shared memory": request(tensor(data=..., parameters={"shared_memory_region": "a"})),
    "data and binary": request(tensor(parameters={"binary_data_size": 16})),
    "binary without bytes": request(tensor(data=..., parameters={"binary_data_size": 16})),
    "binary short": raw(16, ROW.tobytes()[:-1]),
    "binary long": raw(16, ROW.tobytes() + b"\0"),
    "binary size short": raw(12, ROW.tobytes()[:12]),
    "binary size long": raw(20, ROW.tobytes() + b"\0" * 4),
    "binary size negative": raw(-16, ROW.tobytes()),
    "binary size of zero": raw(0, b""),
    "binary size a float": raw(16.0, ROW.tobytes()),
    "binary size true": raw(True, b"\0"),
    "binary size text": raw("16", ROW.tobytes()),
    "binary size of 2^64": raw(2**64, ROW.tobytes()),
    "binary of a huge shape": raw(16, ROW.tobytes(), shape=[2**30, 4]),
    "header length one short": raw(16, ROW.tobytes(), length=-1),
    "header length one long": raw(16, ROW.tobytes(), length=1),
    "header length beyond the body": raw(16, ROW.tobytes(), length=1000),
    "header length of zero": with_length("0"),
    "header length negative": with_length("-1"),
    "header length text": with_length("ten"),
    "header length a float": with_length("10.0"),
    "header length hexadecimal": with_length("0x10"),
    "header length of 40 digits": with_length("9" * 40),
    "header length empty": with_length(""),
    "150,000 small lists": planted(b"[" + b"[]," * 150_000 + b"[]]"),
    "JSON above its limit": b'{"id": "' + b"a" * (1 << 19) + b'"}',
    "body above the limit": b" " * ((1 << 20) + 1),
    "unknown coding": (request(), {"Content-Encoding": "br"}),
}
BAD_TENSORS: dict[str, tuple[str, bytes]] = {
    "INT8 too large": identity("INT8", [1, 128]),
    "UINT8 negative": identity("UINT8", [1, -1]),
    "INT64 too large": identity("INT64", [1, 2**63]),
    "UINT64 too large": identity("UINT64", [1, 2**64]),
    "INT32 with a fraction": identity("INT32", [1, 1.5]),
    "INT32 a whole float": identity("INT32", [1, 1.0]),
    "BOOL a number": identity("BOOL", [True, 1]),
    "FP16 in JSON": identity("FP16", [1.0, 2.0]),
    "BYTES a number": identity("BYTES", ["a", 1]),
    "BYTES half a surrogate": identity("BYTES", ["a", "\ud800"]),
}
BAD_STRINGS = {
    "no bytes": b"",
    "one element short": struct.pack("<I", 1) + b"a",
    "length beyond the end": struct.pack("<I", 1) + b"a" + struct.pack("<I", 2**32 - 1),
    "bytes left over": struct.pack("<II", 0, 0) + b"x",
    "length cut": struct.pack("<I", 1) + b"a" + b"\0\0\0",
    "not UTF-8": struct.pack("<I", 1) + b"\xff" + struct.pack("<I", 0),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_malformed_body_is_refused(link, case: str) -> None:
    body, headers = BAD_BODIES[case], {}
    if isinstance(body, tuple):
        body, headers = body
    status, answer, _ = ask(link, INFER, body, **headers)
    check_refused(status, answer)
    check_alive(link)


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_json_that_a_datatype_cannot_hold_is_refused(link, case: str) -> None:
    path, body = BAD_TENSORS[case]
    text = check_refused(*ask(link, path, body)[:2])
    assert text.startswith("input 'in_"), text


@pytest.mark.parametrize("case", BAD_STRINGS)
def test_malformed_strings_are_refused(link, case: str) -> None:
    data = BAD_STRINGS[case]
    body, headers = raw(len(data), data, name="in_BYTES", datatype="BYTES", shape=[1, 2])
    text = check_refused(*ask(link, "/v2/models/identity/infer", body, **headers)[:2])
    assert text.startswith("input 'in_BYTES'")


def test_a_flag_that_is_neither_zero_nor_one_is_refused(link) -> None:
    body, headers = raw(2, b"\x01\x02", name="in_BOOL", datatype="BOOL", shape=[1, 2])
    text = check_refused(*ask(link, "/v2/models/identity/infer", body, **headers)[:2])
    assert text == "input 'in_BOOL': a BOOL is one byte, 0 or 1, got 2"


def test_an_axis_of_two_to_the_sixty_is_refused_before_any_allocation(link) -> None:
    body, headers = raw(16, ROW.tobytes(), shape=[2**60, 4])
    status, answer, _ = ask(link, INFER, body, **headers)
    assert status == 413
    assert "more than 262144 elements" in check_refused(status, answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), inner
        )
    ),
    max_leaves=8,
)


@settings(
    max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(
    changes=st.dictionaries(
        st.sampled_from(["name", "datatype", "shape", "data", "parameters", "id"]), JSON, min_size=1
    ),
    cut=st.integers(0, 3),
)
def test_no_change_of_a_valid_request_is_a_server_error(link, changes, cut: int) -> None:
    body = request(tensor(**changes))
    status, answer, _ = ask(link, INFER, body[: len(body) - cut])
    if status != 200:
        check_refused(status, answer)
