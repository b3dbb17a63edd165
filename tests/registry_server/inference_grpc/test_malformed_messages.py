"""Whatever bytes come: a clear status, and the server goes on."""

from __future__ import annotations

import re
import socket
import struct

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw import LIMITS, Infer, Served, call, check_alive, refused

from registry_server.inference_grpc.messages import CLASSES, SERVICE
from registry_server.inference_grpc.methods import METHODS, UNSERVED

CLEAR = {"INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"}
LEAKS = re.compile(r"/[a-z]+/[a-z]+/|Traceback|\.py|onnxruntime_src|0x[0-9a-f]{6}")
GOOD = Infer(
    model_name="affine",
    inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 4]}],
    raw_input_contents=[bytes(16)],
).SerializeToString()


def check_clear(status: str, text: str) -> None:
    assert status in CLEAR, (status, text)
    assert text
    assert len(text) < 1000
    assert not LEAKS.search(text), text


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_message_is_refused_or_answered(channel: grpc.Channel, data) -> None:
    """Bytes changed, put in, taken out or cut: what is still a request is one."""
    message = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(message)))
        end = at + data.draw(st.integers(0, 3))
        message[at:end] = data.draw(st.binary(max_size=4))
    try:
        call(channel, "ModelInfer", bytes(message))
    except grpc.RpcError as exc:
        check_clear(exc.code().name, exc.details())
    check_alive(channel)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(method=st.sampled_from(sorted((*METHODS, *UNSERVED))), message=st.binary(max_size=40))
def test_any_bytes_to_any_method(channel: grpc.Channel, method: str, message: bytes) -> None:
    try:
        call(channel, method, message)
    except grpc.RpcError as exc:
        check_clear(exc.code().name, exc.details())
    check_alive(channel)


LOTS = b"\x2a\x00" * 400_000  # inputs, each of which would take far more than its two bytes
BAD = {
    "nothing at all": (b"", "INVALID_ARGUMENT", "'inputs' must be a list"),
    "no protobuf": (b"{}" * 50, "INVALID_ARGUMENT", "no protobuf message"),
    "a field of another type": (b"\x0a\x02\xff\xfe", "INVALID_ARGUMENT", "no ModelInferRequest"),
    "countless inputs": (LOTS, "RESOURCE_EXHAUSTED", "more than 4096 fields"),
    "a parameter deep in itself": (
        b"\x22\x80\x01" + b"\x12\x7e" * 64, "INVALID_ARGUMENT", "no ModelInferRequest"
    ),
    "a megabyte": (bytes(LIMITS.body + 1), "RESOURCE_EXHAUSTED", "above the limit"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_request_is_refused_by_name(channel: grpc.Channel, case: str) -> None:
    message, status, text = BAD[case]
    got, said = refused(channel, message)
    assert got == status, said
    assert text in said
    check_alive(channel)


def test_names_that_reach_for_files_find_nothing(channel: grpc.Channel) -> None:
    for name in ("../../etc/passwd", "affine@1", "store:affine", "a\0b", "x" * 4000, "{name}"):
        message = Infer.FromString(GOOD)
        message.model_name = name
        assert refused(channel, message.SerializeToString())[0] == "NOT_FOUND", name
        asked = CLASSES["ModelConfigRequest"](name=name).SerializeToString()
        assert refused(channel, asked, "ModelConfig")[0] == "NOT_FOUND", name


def test_an_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    assert refused(channel, b"", f"/{SERVICE}/Shutdown")[0] == "UNIMPLEMENTED"
    assert refused(channel, b"", "/other.Service/ServerLive")[0] == "UNIMPLEMENTED"


def test_the_health_check_of_kubernetes(channel: grpc.Channel) -> None:
    check = "/grpc.health.v1.Health/Check"
    assert call(channel, check, b"") == b"\x08\x01"
    name = SERVICE.encode()
    assert call(channel, check, b"\x0a" + bytes([len(name)]) + name) == b"\x08\x01"
    assert refused(channel, b"\x0a\x01x", check)[0] == "NOT_FOUND"


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # TLS
        PREFACE + struct.pack(">I", 1 << 23)[1:] + b"\x01\x04\0\0\0\x01" + bytes(4096),
        PREFACE + b"\0\0\0\x09\0\0\0\0\x01" * 1000,  # CONTINUATION of nothing
        PREFACE + b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08" * 5000,  # resets
        PREFACE + (b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)) * 5000,  # pings
        PREFACE + (b"\0\0\x06\x04\0\0\0\0\0" + b"\0\x04\x7f\xff\xff\xff") * 5000,  # settings
    ],
)
def test_what_is_no_call_is_dropped(served: Served, channel: grpc.Channel, data: bytes) -> None:
    host, _, port = served.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as link:
        try:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            while link.recv(4096):
                pass
        except OSError:
            pass  # closed while we were still sending
    check_alive(channel)
