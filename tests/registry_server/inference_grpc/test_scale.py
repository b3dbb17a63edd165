"""Large messages, many streams, many connections, TLS, a server that comes back: real clients."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
import pytest
from peer import Peer, block, request
from raw import LIMITS, Infer, Served, call, check_alive
from tiny_models import Version, direct, rows
from tritonclient.grpc import InferenceServerClient, InferInput

from registry_server.app import create_app
from registry_server.background import running
from registry_server.engine import MemorySource
from registry_server.http2 import frames
from registry_server.http2.frames import frame
from registry_server.inference_grpc.listen import add_grpc
from registry_server.inference_grpc.messages import SERVICE
from registry_server.listen import Tls
from registry_server.tensors import Limits

APART = [("grpc.use_local_subchannel_pool", 1)]  # a channel of its own is a connection of its own


@contextmanager
def server(
    versions: dict[str, Version], port: int = 0, limits: Limits = LIMITS, tls: Tls | None = None
) -> Iterator[str]:
    app = create_app(MemorySource([versions["affine@1"]]), ["affine"], limits=limits, threads=1)
    add_grpc(app, "127.0.0.1", port, tls=tls)
    with running(app):
        yield app.state.grpc


def tensor(array: np.ndarray) -> InferInput:
    tensor = InferInput("x", list(array.shape), "FP32")
    tensor.set_data_from_numpy(array)
    return tensor


@pytest.mark.slow
def test_sixty_megabytes_go_there_and_come_back_whole(versions) -> None:
    x = rows((60 << 20) // 16)
    limits = Limits(rows=1 << 23, waiting=256 << 20)
    with server(versions, limits=limits) as address, InferenceServerClient(address) as client:
        for _ in range(3):
            result = client.infer("affine", [tensor(x)])
        y, z = direct(versions, "affine@1", x=x)
        assert result.as_numpy("y").tobytes() == y.tobytes()
        assert result.as_numpy("z").tobytes() == z.tobytes()


def test_64_streams_of_one_connection_get_their_own_rows(served: Served, versions) -> None:
    with InferenceServerClient(served.address) as client, ThreadPoolExecutor(64) as pool:

        def ask(seed: int) -> bool:
            x = rows(1 + seed % 9, seed)
            y = client.infer("affine", [tensor(x)], "1").as_numpy("y")
            return y.tobytes() == direct(versions, "affine@1", x=x)[0].tobytes()

        assert all(pool.map(ask, range(256)))


def test_two_hundred_connections_are_answered(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            channel = stack.enter_context(grpc.insecure_channel(served.address, APART))
            assert call(channel, "ServerLive", b"") == b"\x08\x01"
        check_alive(channel)


def test_a_channel_outlives_its_server(versions) -> None:
    with server(versions) as address:
        port = int(address.rpartition(":")[2])
        channel = grpc.insecure_channel(address, [("grpc.initial_reconnect_backoff_ms", 100)])
        check_alive(channel)
    with channel:
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "ServerLive", b"")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with server(versions, port):
            assert call(channel, "ServerLive", b"", wait_for_ready=True) == b"\x08\x01"
            check_alive(channel)


def test_a_compressed_message_is_unimplemented(served: Served) -> None:
    message = Infer(model_name="affine", id="a" * 5000).SerializeToString()
    with grpc.insecure_channel(served.address, APART) as channel:  # which knows nothing of us yet
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "ModelInfer", message, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert caught.value.details() == "grpc-encoding 'gzip'; send the message uncompressed"
        check_alive(channel)


PATH = f"/{SERVICE}/ServerLive"
KIND, EMPTY = ("content-type", "application/grpc"), bytes(5)
# The trailers of each, in words of its own: a status of HTTP, or one of gRPC.
HEADERS = {
    "no content type": ([], EMPTY, (":status", "415")),
    "JSON": ([("content-type", "application/json")], EMPTY, (":status", "415")),
    "gRPC for browsers": ([("content-type", "application/grpc-web")], EMPTY, (":status", "415")),
    "protobuf by name": ([("content-type", "application/grpc+proto")], EMPTY, ("grpc-status", "0")),
    "a timeout that is none": ([KIND, ("grpc-timeout", "soon")], EMPTY, ("grpc-status", "0")),
    "no message": ([KIND], b"", ("grpc-status", "3")),
    "half a message": ([KIND], b"\0\0\0\0\x09abc", ("grpc-status", "3")),
    "half a prefix": ([KIND], b"\0\0", ("grpc-status", "3")),
    "a message said to be 4 GB": ([KIND], b"\0\xff\xff\xff\xff", ("grpc-status", "8")),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_what_is_no_call_of_grpc_has_a_clear_end(served: Served, case: str) -> None:
    more, body, expected = HEADERS[case]
    host, _, port = served.address.rpartition(":")
    with Peer((host, int(port))) as peer:
        peer.send(
            frame(frames.HEADERS, frames.END_HEADERS, 1, block(PATH, *more)),
            frame(frames.DATA, frames.END_STREAM, 1, body),
        )
        seen = []
        for it in peer.frames():
            if it.kind == frames.HEADERS:
                seen += peer.decoder.decode(it.payload)
                if it.flags & frames.END_STREAM:
                    break
    assert expected in [tuple(it) for it in seen]
    assert ("grpc-status", "0") not in seen or expected == ("grpc-status", "0")


def test_a_message_too_large_is_refused_before_it_has_come(served: Served) -> None:
    host, _, port = served.address.rpartition(":")
    path = f"/{SERVICE}/ModelInfer"
    with Peer((host, int(port))) as peer:
        peer.send(
            frame(frames.HEADERS, frames.END_HEADERS, 1, block(path, KIND)),
            frame(frames.DATA, 0, 1, b"\0" + (1 << 30).to_bytes(4, "big")),
        )
        assert peer.answers(1) == {1: b""}
        peer.send(frame(frames.DATA, 0, 1, bytes(9000)), request(3, PATH))
        assert peer.answers(1) == {3: b""}  # what was on its way is dropped


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(cert.public_bytes(pem))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, plain))
    return Tls(folder / "cert.pem", folder / "key.pem")


def test_calls_over_tls_are_answered_and_what_is_no_http2_is_dropped(versions, tls: Tls) -> None:
    with server(versions, tls=tls) as address:
        trusted = grpc.ssl_channel_credentials(tls.cert.read_bytes())
        with grpc.secure_channel(address, trusted) as channel:
            check_alive(channel)
        context = ssl.create_default_context(cafile=str(tls.cert))  # speaks no HTTP/2
        host, _, port = address.rpartition(":")
        with (
            suppress(ConnectionError),
            socket.create_connection((host, int(port)), timeout=20) as line,
            context.wrap_socket(line, server_hostname=host) as safe,
        ):
            safe.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert safe.recv(100) == b""
        with grpc.insecure_channel(address) as plain, pytest.raises(grpc.RpcError):
            call(plain, "ServerLive", b"")
