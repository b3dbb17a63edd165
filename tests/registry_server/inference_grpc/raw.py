"""Calls below any client library."""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc

from registry_server.inference_grpc.messages import CLASSES, SERVICE
from registry_server.tensors import Limits

LIMITS = Limits(
    body=1 << 20, json=1 << 19, json_elements=4096, waiting=1 << 24, rows=64, elements=1 << 18
)
Infer = CLASSES["ModelInferRequest"]


class Served(NamedTuple):
    """Where HTTP is, and where gRPC is."""

    url: str
    address: str


def call(channel: grpc.Channel, method: str, message: bytes, **how: Any) -> bytes:
    """One call of the service with these very bytes."""
    path = method if method.startswith("/") else f"/{SERVICE}/{method}"
    return channel.unary_unary(path)(message, timeout=20, **how)


def refused(channel: grpc.Channel, message: bytes, method: str = "ModelInfer") -> tuple[str, str]:
    """The status and the sentence with which a message is refused."""
    try:
        call(channel, method, message)
    except grpc.RpcError as exc:
        return exc.code().name, exc.details()
    raise AssertionError("it was answered")


def check_alive(channel: grpc.Channel) -> None:
    message = Infer(model_name="affine")
    it = message.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    it.contents.fp32_contents.extend([1, 2, 3, 4])
    message.outputs.add(name="z")
    answer = CLASSES["ModelInferResponse"].FromString(
        call(channel, "ModelInfer", message.SerializeToString())
    )
    assert answer.raw_output_contents[0] == b"\x00\x00\x20\x41"  # 10.0
