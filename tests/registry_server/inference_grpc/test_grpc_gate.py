"""Everybody x every method: what happens is what the policy table of HTTP says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
from house import House, bearer, build
from raw import Infer, call

from registry_server.app import create_app
from registry_server.auth.door import Door
from registry_server.auth.policy import need_outside
from registry_server.auth.tokens import create_token, revoke_token
from registry_server.background import running
from registry_server.engine import MemorySource
from registry_server.inference_grpc.listen import add_grpc
from registry_server.inference_grpc.messages import CLASSES
from registry_server.inference_grpc.methods import METHODS, UNSERVED

PATHS = {name: method.path for name, method in METHODS.items()}
PATHS |= dict.fromkeys(UNSERVED, "/v2") | {"ModelInfer": "/v2/models/{name}/infer"}
ROLES = {"nobody": None, "reader": "reader", "owner": "publisher", "admin": "admin"}
STRANGERS = ("revoked", "expired")
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return build(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def channel(house: House) -> Iterator[grpc.Channel]:
    (access,) = [it.kwargs["access"] for it in house.app.user_middleware if it.cls is Door]
    add_grpc(house.app, "127.0.0.1", 0, access=access)
    with running(house.app), grpc.insecure_channel(house.app.state.grpc) as channel:
        yield channel


def outcome(channel: grpc.Channel, method: str, message: bytes = b"", **headers: str) -> Any:
    try:
        call(channel, method, message, metadata=tuple(headers.items()))
    except grpc.RpcError as exc:
        return exc.code().name
    return "OK"


def expected(method: str, who: str) -> str:
    need = need_outside(PATHS[method])
    if who in STRANGERS:
        return "UNAUTHENTICATED"  # a token that is not valid is never ignored
    if need.role is None:
        return "in"
    if who == "nobody":
        return "UNAUTHENTICATED"
    order = ["reader", "publisher", "admin"]
    return "in" if order.index(ROLES[who]) >= order.index(need.role) else "PERMISSION_DENIED"


@pytest.mark.parametrize("who", [*ROLES, *STRANGERS])
def test_every_method_lets_in_whom_the_policy_table_does(house, channel, who: str) -> None:
    for method in PATHS:
        got = outcome(channel, method, **house.headers[who])
        wanted = expected(method, who)
        refused = got in ("UNAUTHENTICATED", "PERMISSION_DENIED")
        assert got == wanted or (wanted == "in" and not refused), (method, got)


def test_bearer_tokens_of_the_issuer_count_and_forged_ones_do_not(channel) -> None:
    good, other = (bearer(roles=("admins",)), bearer(roles=("admins",), aud="another"))
    assert outcome(channel, "ServerMetadata", authorization=f"Bearer {good}") == "OK"
    assert outcome(channel, "ServerMetadata", authorization=f"Bearer {other}") == "UNAUTHENTICATED"
    for wrong in ("Basic YTpi", "", "Bearer", f"bearer {good} {good}", "Bearer hepcat_x"):
        assert outcome(channel, "ServerMetadata", authorization=wrong) == "UNAUTHENTICATED", wrong


def test_a_token_that_is_revoked_runs_no_model_after_a_second(house, versions) -> None:
    (access,) = [it.kwargs["access"] for it in house.app.user_middleware if it.cls is Door]
    app = create_app(MemorySource([versions["affine@1"]]), ["affine"], threads=1)
    add_grpc(app, "127.0.0.1", 0, access=access)
    inputs = [{"name": "x", "datatype": "FP32", "shape": [1, 4]}]
    message = Infer(model_name="affine", inputs=inputs, raw_input_contents=[bytes(16)])
    asked = message.SerializeToString()
    secret, made = create_token(house.registry.database, "runner", "reader", 1)
    headers = {"authorization": f"Bearer {secret}"}
    with running(app), grpc.insecure_channel(app.state.grpc) as channel:
        for _ in range(3):
            assert outcome(channel, "ModelInfer", asked, **headers) == "OK"
            assert outcome(channel, "ModelInfer", asked) == "UNAUTHENTICATED"
            assert outcome(channel, "ModelInfer", asked, authorization="x") == "UNAUTHENTICATED"
        revoke_token(house.registry.database, made.id)
        assert outcome(channel, "ServerMetadata", **headers) == "UNAUTHENTICATED"
        until = time.monotonic() + 20
        while (got := outcome(channel, "ModelInfer", asked, **headers)) == "OK":
            assert time.monotonic() < until
    assert got == "UNAUTHENTICATED"


def test_a_stream_is_refused_before_it_begins(channel) -> None:
    stream = channel.stream_stream(STREAM)
    with pytest.raises(grpc.RpcError) as caught:
        next(stream(iter([b""]), timeout=20))
    assert caught.value.code().name == "UNAUTHENTICATED"


def test_a_token_that_is_revoked_ends_its_stream_at_the_next_message(house, channel) -> None:
    database = house.registry.database
    secret, made = create_token(database, "streamer", "reader", 1)
    messages: Queue[bytes] = Queue()
    stream = channel.stream_stream(STREAM)
    answers = stream(
        iter(messages.get, None), timeout=20, metadata=(("authorization", f"Bearer {secret}"),)
    )
    messages.put(b"")
    assert b"inputs" in next(answers)  # refused in words; the stream goes on
    revoke_token(database, made.id)
    messages.put(b"")
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code().name == "UNAUTHENTICATED"
    messages.put(None)


def test_nobody_can_hold_all_streams(house, channel) -> None:
    over = threading.Event()

    def one_message() -> Iterator[bytes]:
        yield b""
        over.wait()  # the stream stays open

    stream = channel.stream_stream(STREAM)
    metadata = tuple(house.headers["reader"].items())
    held = [stream(one_message(), timeout=120, metadata=metadata) for _ in range(64)]
    try:
        for it in held:
            next(it)
        with pytest.raises(grpc.RpcError) as caught:
            next(stream(iter([b""]), timeout=120, metadata=metadata))
        assert "64 streams" in caught.value.details()
        other = tuple(house.headers["admin"].items())
        assert next(stream(iter([b""]), timeout=120, metadata=other))
    finally:
        over.set()
        for it in held:
            it.cancel()


def test_loading_is_in_the_audit_log_with_the_models_name(house, channel) -> None:
    message = CLASSES["RepositoryModelLoadRequest"](model_name="toy").SerializeToString()
    assert outcome(channel, "RepositoryModelLoad", message, **house.headers["admin"]) == "NOT_FOUND"
    last = house.audited()[-1]
    assert last["who"] == "token:admin"
    assert last["what"] == "gRPC /v2/repository/models/toy/load"
    assert last["outcome"] == 404


def test_every_method_of_the_service_is_in_this_test(tmp_path: Path) -> None:
    from tritonclient.grpc import service_pb2

    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    assert set(theirs) == {*PATHS, "ModelStreamInfer"}
