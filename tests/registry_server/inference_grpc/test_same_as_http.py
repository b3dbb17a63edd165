"""The same request by HTTP and by gRPC: the same bytes, or the same refusal."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from asking import LENGTH, ask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw import Infer, Served, call

from registry_server.inference_grpc.gate import CODES
from registry_server.inference_grpc.messages import CLASSES
from registry_server.tensors import DTYPES

Tensor = dict[str, Any]  # name, datatype, shape, raw
Answer = tuple[list[tuple[str, str, list[int], bytes]], str]


@pytest.fixture
def link(served: Served) -> Iterator[http.client.HTTPConnection]:
    link = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
    yield link
    link.close()


def by_http(
    link: http.client.HTTPConnection, path: str, identity: str, inputs: list[Tensor],
    outputs: list[str],
) -> Answer | tuple[str, str]:  # fmt: skip
    head = json.dumps(
        {
            "id": identity,
            "parameters": {"binary_data_output": True},
            "inputs": [
                {**{k: it[k] for k in ("name", "datatype", "shape")},
                 "parameters": {"binary_data_size": len(it["raw"])}}
                for it in inputs
            ],
            "outputs": [{"name": name} for name in outputs],
        }
    ).encode()  # fmt: skip
    body = head + b"".join(it["raw"] for it in inputs)
    status, answer, headers = ask(link, path, body, **{LENGTH: str(len(head))})
    if status != 200:
        return CODES[status].name, json.loads(answer)["error"]
    length = int(headers[LENGTH])
    document, raw, found, start = json.loads(answer[:length]), answer[length:], [], 0
    for it in document["outputs"]:
        end = start + it["parameters"]["binary_data_size"]
        found.append((it["name"], it["datatype"], it["shape"], raw[start:end]))
        start = end
    return found, document["id"]


def by_grpc(
    channel: grpc.Channel, model: tuple[str, str], identity: str, inputs: list[Tensor],
    outputs: list[str],
) -> Answer | tuple[str, str]:  # fmt: skip
    message = Infer(model_name=model[0], model_version=model[1], id=identity)
    for it in inputs:
        message.inputs.add(name=it["name"], datatype=it["datatype"], shape=it["shape"])
        message.raw_input_contents.append(it["raw"])
    for name in outputs:
        message.outputs.add(name=name)
    try:
        data = call(channel, "ModelInfer", message.SerializeToString())
    except grpc.RpcError as exc:
        return exc.code().name, exc.details()
    answer = CLASSES["ModelInferResponse"].FromString(data)
    found = [
        (it.name, it.datatype, list(it.shape), raw)
        for it, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    ]
    return found, answer.id


def both(
    served: Served, channel: grpc.Channel, link: http.client.HTTPConnection,
    model: tuple[str, str], identity: str, inputs: list[Tensor], outputs: list[str],
) -> Any:  # fmt: skip
    name, version = model
    path = f"/v2/models/{name}" + (f"/versions/{version}" if version else "") + "/infer"
    first = by_http(link, path, identity, inputs, outputs)
    second = by_grpc(channel, model, identity, inputs, outputs)
    assert first == second
    return second


KIND = st.sampled_from(sorted(DTYPES))
SIZE = st.integers(0, 3) | st.integers(-2, 70)


@st.composite
def values(draw: Any, kind: str, count: int) -> bytes:
    if kind == "BYTES":
        texts = draw(st.lists(st.text(max_size=4), min_size=count, max_size=count))
        return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    if kind == "BOOL":
        return bytes(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    size = count * DTYPES[kind].itemsize
    return draw(st.binary(min_size=size, max_size=size))


@st.composite
def tensors(draw: Any, name: str, kind: str, shape: list[int]) -> Tensor:
    """Mostly right; at times another name, datatype, shape or length."""
    raw = draw(values(kind, int(np.prod([max(it, 0) for it in shape]))))
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(["x", "y", "", "é", "in_FP32"]))
    if draw(st.integers(0, 9)) == 0:
        kind = draw(KIND | st.sampled_from(["BF16", "fp32", ""]))
    if draw(st.integers(0, 9)) == 0:
        shape = draw(st.lists(SIZE, max_size=4))
    if draw(st.integers(0, 9)) == 0:
        raw = raw[: draw(st.integers(0, len(raw)))] + draw(st.binary(max_size=9))
    return {"name": name, "datatype": kind, "shape": shape, "raw": raw}


@st.composite
def requests(draw: Any) -> tuple[tuple[str, str], list[Tensor], list[str]]:
    n = draw(st.integers(1, 4) | st.integers(0, 70))
    name = draw(st.sampled_from(["affine", "gather", "identity", "log", "nope", "wide"]))
    if name == "gather":
        inputs = [draw(tensors("x", "FP64", [n])), draw(tensors("k", "INT64", [n]))]
    elif name == "identity":
        inputs = [draw(tensors(f"in_{kind}", kind, [n % 3 + 1, 2])) for kind in DTYPES]
    else:
        shape = {"log": [n], "wide": [n % 6, 1]}.get(name, [n, 4])
        inputs = [draw(tensors("x", "FP32", shape))]
    inputs = inputs[: draw(st.integers(0, 9)) or 1] if draw(st.booleans()) else inputs
    version = draw(st.sampled_from(["", "", "1", "7", "02", "champion", "x y"]))
    outputs = draw(st.lists(st.sampled_from(["y", "z", "scaled", "out_BOOL"]), max_size=2))
    return (name, version.replace(" ", "")), inputs, outputs if draw(st.booleans()) else []


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=requests(), identity=st.sampled_from(["", "run-7", "é\n"]))
def test_both_ways_answer_alike(served, channel, link, asked, identity) -> None:
    model, inputs, outputs = asked
    both(served, channel, link, model, identity, inputs, outputs)


@pytest.mark.parametrize("length", range(17))
def test_where_a_tensor_lies_in_a_message_does_not_change_the_last_bit(
    served, channel, link, versions, length
) -> None:
    """Kernels sum in another order where memory does not begin at a multiple of 16 bytes."""
    import onnxruntime as ort

    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    session = ort.InferenceSession(versions["affine@1"].folder / "model.onnx")
    inputs = [{"name": "x", "datatype": "FP32", "shape": [5, 4], "raw": x.tobytes()}]
    found, _ = both(served, channel, link, ("affine", "1"), "i" * length, inputs, [])
    assert [it[-1] for it in found] == [it.tobytes() for it in session.run(None, {"x": x})]
