"""gRPC calls: a message comes in, goes through the gate, and an answer goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.types import Scope

from catalog.errors import CatalogError, NotFound, UsageError
from registry_server.api.open import Open
from registry_server.auth.door import ask_again
from registry_server.body import Intake
from registry_server.engine import Engine, Model
from registry_server.errors import Busy, Expired, Unsupported
from registry_server.http2.headers import Fields
from registry_server.http2.stream import Stream
from registry_server.inference_grpc import rpc
from registry_server.inference_grpc.coding import decode, encode
from registry_server.inference_grpc.gate import Gate, Refusal, sentence
from registry_server.inference_grpc.gate import Work as Inside
from registry_server.inference_grpc.messages import SERVICE, read, write
from registry_server.inference_grpc.methods import METHODS, UNSERVED, Method
from registry_server.inference_grpc.rpc import Asked, Status, framed, next_message
from registry_server.inference_grpc.wire import nested, split
from registry_server.protocol import Request
from registry_server.tensors import Array

_STREAMS = 64  # of one caller at a time
_IDLE_SECONDS = 600.0  # between two messages of a stream
_SMALL = 64 << 10  # bytes: up to here coding takes less than a visit to a thread costs
_INFER = "/v2/models/{name}/infer"
_HEALTH = "grpc.health.v1.Health"
_SERVING = b"\x08\x01"  # HealthCheckResponse(status=SERVING)
_INFER_RESPONSE = 2  # of ModelStreamInferResponse


class Call(NamedTuple):
    """One message, the scope of its call at the gate, and the loop's time when it is too late.

    streamed : one of several
    """

    message: bytearray
    scope: Scope
    deadline: float | None
    streamed: bool = False


Work = Callable[[Call], Awaitable[bytes]]  # the answer, framed
Through = Callable[[str, Stream[Asked], Inside], Awaitable[Refusal | None]]
Handle = Callable[[Stream[Asked], Scope, float | None], Awaitable[None]]


class Calls:
    """What answers: every method by its name on the wire. A service of `http2`."""

    def __init__(self, engine: Engine, intake: Intake, gate: Gate) -> None:
        self.meter, self.most_streams = intake, engine.limits.queue
        self._engine = engine
        self._streams, self._open = Open(), 0
        works = {name: self._delegated(name, method) for name, method in METHODS.items()}
        unary = {
            **{f"{SERVICE}/{name}": (METHODS[name].path, it) for name, it in works.items()},
            **{f"{SERVICE}/{name}": ("/v2", _unserved(name)) for name in UNSERVED},
            f"{_HEALTH}/Check": ("/v2/health/ready", _health),
        }
        models, through = _INFER.partition("{")[0], gate.through
        self._methods: dict[str, tuple[Through, str, Handle]] = {
            f"/{name}": (through, path.partition("{")[0], self._unary(work))
            for name, (path, work) in unary.items()
        }
        infer = (gate.to_run, models, self._unary(self._infer))
        self._methods[f"/{SERVICE}/ModelInfer"] = infer
        self._methods[f"/{SERVICE}/ModelStreamInfer"] = (through, models, self._stream)

    def read(self, fields: Fields) -> Asked:
        """Read the header of a call."""
        return rpc.read_header(fields)

    async def serve(self, stream: Stream[Asked]) -> None:
        """Answer one call."""
        asked = stream.asked
        if not asked.is_grpc:
            await stream.send(b"", b"", rpc.NOT_GRPC)
            return
        found = self._methods.get(asked.method)
        if found is None:
            await _refuse(stream, Refusal(Status.UNIMPLEMENTED, "Method not found!"))
            return
        if self._open >= self._engine.limits.queue:
            text = f"{self._open} calls are being answered; try again"
            await _refuse(stream, Refusal(Status.UNAVAILABLE, text))
            return
        through, path, handle = found
        deadline = None
        if asked.seconds is not None:
            deadline = asyncio.get_running_loop().time() + asked.seconds

        async def work(scope: Scope) -> None:
            await handle(stream, scope, deadline)

        self._open += 1
        try:
            if refused := await through(path, stream, work):
                await _refuse(stream, refused)
        finally:
            self._open -= 1

    def _unary(self, work: Work) -> Handle:
        """One message, one answer."""

        async def handle(stream: Stream[Asked], scope: Scope, deadline: float | None) -> None:
            limits = self._engine.limits
            seconds = limits.body_seconds
            late = f"the message did not arrive within {seconds:g} s"
            message = await next_message(stream, limits, seconds, late)
            if message is None:
                raise UsageError("the call ended before its message")
            reply = await work(Call(message, scope, deadline))
            await stream.send(rpc.HEAD, reply, rpc.OK)

        return handle

    def _delegated(self, name: str, method: Method) -> Work:
        async def work(call: Call) -> bytes:
            asked = read(f"{name}Request", bytes(call.message))
            model = getattr(asked, "name", "") or getattr(asked, "model_name", "")
            call.scope["path"] = method.path.format(name=model)
            try:
                async with asyncio.timeout_at(call.deadline):
                    answer = await method.work(self._engine, asked)
            except TimeoutError as exc:
                raise Expired("this was not done within the call's deadline") from exc
            return framed([write(f"{name}Response", answer)])

        return work

    async def _infer(self, call: Call) -> bytes:
        engine, now = self._engine, asyncio.get_running_loop().time()
        args = (call.message, engine.limits)
        small = len(call.message) <= _SMALL
        name, version, asked = decode(*args) if small else await engine.in_thread(decode, *args)
        call.scope["path"] = _INFER.format(name=f"{name}/versions/{version}" if version else name)
        deadline = call.deadline
        if asked.seconds is not None:
            deadline = min(now + asked.seconds, deadline or float("inf"))
        inputs, wanted = asked.inputs, list(asked.outputs)
        model, outputs = await engine.infer(name, version, inputs, wanted, deadline=deadline)
        answer = (model, asked, outputs, call.streamed)
        if sum(array.nbytes for array in outputs.values()) <= _SMALL:
            return _encoded(*answer)
        return await engine.in_thread(_encoded, *answer)

    async def _stream(self, stream: Stream[Asked], scope: Scope, deadline: float | None) -> None:
        """Answers in the order of the requests; one that is refused does not end the stream."""
        caller, limits = scope["state"].get("caller"), self._engine.limits
        refused = Busy(f"you have {_STREAMS} streams open", "end one of them")
        late, head = f"nothing came for {_IDLE_SECONDS:g} s", rpc.HEAD
        with self._streams.one(caller.name if caller else stream.peer, _STREAMS, refused):
            while (it := await next_message(stream, limits, _IDLE_SECONDS, late)) is not None:
                await ask_again(scope)
                reply = await self._streamed(Call(it, scope, deadline, streamed=True))
                stream.done_with(rpc.PREFIX + len(it))
                await stream.send(head, reply, b"")
                head = b""
            await stream.send(head, b"", rpc.OK)

    async def _streamed(self, call: Call) -> bytes:
        try:
            return await self._infer(call)
        except CatalogError as exc:
            said = {"error_message": sentence(exc, call.scope)}
            return framed([write("ModelStreamInferResponse", said)])


def _encoded(model: Model, asked: Request, outputs: Mapping[str, Array], streamed: bool) -> bytes:
    parts = encode(model, asked, outputs, streamed)
    return framed(nested(_INFER_RESPONSE, parts) if streamed else parts)


async def _refuse(stream: Stream[Asked], refused: Refusal) -> None:
    last = rpc.trailers(refused.status, refused.text)
    await stream.send(b"", b"", last if stream.begun else rpc.HEAD + last)


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
    return framed([_SERVING])
