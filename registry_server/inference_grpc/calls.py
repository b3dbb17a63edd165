"""gRPC calls: a message comes in, goes through the gate, and an answer goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import grpc.aio
from starlette.types import Scope

from catalog.errors import CatalogError, NotFound, UsageError
from registry_server.api.open import Open
from registry_server.auth.door import ask_again
from registry_server.body import Intake
from registry_server.engine import Engine
from registry_server.errors import Busy, TooSlow, Unsupported
from registry_server.inference_grpc.coding import decode, encode
from registry_server.inference_grpc.gate import Gate, sentence
from registry_server.inference_grpc.messages import SERVICE, read, write
from registry_server.inference_grpc.methods import METHODS, UNSERVED, Method
from registry_server.inference_grpc.wire import field, split

_STREAMS = 64  # of one caller at a time; grpc has 1,024 calls for all of them
_IDLE_SECONDS = 600.0  # between two messages of a stream
_READERS = 64  # messages that arrive at a time: grpc holds each whole before we know its size
_SMALL = 64 << 10  # bytes: up to here coding takes less than a visit to a thread costs
_INFER = "/v2/models/{name}/infer"
_HEALTH = "grpc.health.v1.Health"
_SERVING = b"\x08\x01"  # HealthCheckResponse(status=SERVING)
_NOTHING: Mapping[str, Any] = {}
_FINAL = {"triton_final_response": {"bool_param": True}}
_INFER_RESPONSE = 2  # of ModelStreamInferResponse


class Call(NamedTuple):
    """One message, the scope of its call at the gate, and the seconds its client will wait."""

    message: bytes
    scope: Scope
    seconds: float | None


Work = Callable[[Call], Awaitable[bytes]]


class Calls:
    """Every method by its name on the wire: what grpc calls a generic handler."""

    def __init__(self, engine: Engine, intake: Intake, gate: Gate) -> None:
        self._engine, self._intake, self._gate = engine, intake, gate
        self._readers, self._streams = asyncio.Semaphore(_READERS), Open()
        works = {name: self._delegated(name, method) for name, method in METHODS.items()}
        unary = {
            **{name: (METHODS[name].path, work) for name, work in works.items()},
            **{name: ("/v2", _unserved(name)) for name in UNSERVED},
            "ModelInfer": (_INFER, self._infer),
        }
        self._handlers = {
            f"/{SERVICE}/{name}": self._unary(path, work) for name, (path, work) in unary.items()
        }
        self._handlers[f"/{_HEALTH}/Check"] = self._unary("/v2/health/ready", _health)
        self._handlers[f"/{SERVICE}/ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self._stream
        )

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a method; None is UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)

    def _unary(self, path: str, work: Work) -> Any:
        """One message, one answer. To grpc it is a stream: who asks is known before it is read."""

        async def answer(_: Any, context: Any) -> bytes:
            reply = b""

            async def inside(scope: Scope) -> None:
                nonlocal reply
                async with self._message(context) as message:
                    reply = await work(Call(message, scope, context.time_remaining()))

            await self._gate.through(path.partition("{")[0], context, inside)
            return reply

        return grpc.stream_unary_rpc_method_handler(answer)

    @asynccontextmanager
    async def _message(self, context: Any) -> AsyncIterator[bytes]:
        seconds = self._engine.limits.body_seconds
        try:
            async with self._readers, asyncio.timeout(seconds):
                message = await context.read()
        except TimeoutError as exc:
            raise TooSlow(f"the message did not arrive within {seconds:g} s") from exc
        if message is grpc.aio.EOF:
            raise UsageError("the call ended before its message")
        with self._intake.holding(len(message)):
            yield message

    def _delegated(self, name: str, method: Method) -> Work:
        async def work(call: Call) -> bytes:
            asked = read(f"{name}Request", call.message)
            model = getattr(asked, "name", "") or getattr(asked, "model_name", "")
            call.scope["path"] = method.path.format(name=model)
            return write(f"{name}Response", await method.work(self._engine, asked))

        return work

    async def _infer(self, call: Call, said: Mapping[str, Any] = _NOTHING) -> bytes:
        engine, now = self._engine, asyncio.get_running_loop().time()
        args = (call.message, engine.limits)
        small = len(call.message) <= _SMALL
        name, version, asked = decode(*args) if small else await engine.in_thread(decode, *args)
        call.scope["path"] = _INFER.format(name=f"{name}/versions/{version}" if version else name)
        given = [it for it in (call.seconds, asked.seconds) if it is not None]
        deadline = now + min(given) if given else None
        inputs, wanted = asked.inputs, list(asked.outputs)
        model, outputs = await engine.infer(name, version, inputs, wanted, deadline=deadline)
        answer = (model, asked, outputs, said)
        if sum(array.nbytes for array in outputs.values()) <= _SMALL:
            return encode(*answer)
        return await engine.in_thread(encode, *answer)

    async def _stream(self, _: Any, context: Any) -> None:
        """Answers in the order of the requests; one that is refused does not end the stream."""

        async def inside(scope: Scope) -> None:
            caller = scope["state"].get("caller")
            who = caller.name if caller else str(scope["client"][0])
            refused = Busy(f"you have {_STREAMS} streams open", "end one of them")
            with self._streams.one(who, _STREAMS, refused):
                while (message := await _next(context)) is not grpc.aio.EOF:
                    await ask_again(scope)
                    with self._intake.holding(len(message)):
                        call = Call(message, scope, context.time_remaining())
                        await context.write(await self._streamed(call))

        await self._gate.through(_INFER.partition("{")[0], context, inside)

    async def _streamed(self, call: Call) -> bytes:
        try:
            reply = await self._infer(call, _FINAL)
        except CatalogError as exc:
            return write("ModelStreamInferResponse", {"error_message": sentence(exc, call.scope)})
        return b"".join(field(_INFER_RESPONSE, [reply]))


async def _next(context: Any) -> Any:
    """The next message of a stream.

    Raises
    ------
    TooSlow
    """
    try:
        async with asyncio.timeout(_IDLE_SECONDS):
            return await context.read()
    except TimeoutError as exc:
        raise TooSlow(f"nothing came for {_IDLE_SECONDS:g} s") from exc


def _unserved(name: str) -> Work:
    async def work(_: Call) -> bytes:
        raise Unsupported(f"this server does not have {name}")

    return work


async def _health(call: Call) -> bytes:
    """The health check of Kubernetes and of load balancers: grpc.health.v1, without its package."""
    rest, services = split(call.message, 1)
    service = bytes(services[-1]) if services else b""
    if rest or service not in (b"", SERVICE.encode()):
        raise NotFound("no such service here", f"ask for {SERVICE}, or for none")
    return _SERVING
