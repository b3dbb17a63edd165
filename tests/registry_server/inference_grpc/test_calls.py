"""Deadlines, clients that go away, limits and the end of the server: calls around a slow engine."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from raw import Infer

from registry_server.body import Intake
from registry_server.errors import Busy, Expired
from registry_server.inference_grpc.calls import Calls
from registry_server.inference_grpc.gate import Gate
from registry_server.inference_grpc.listen import listening
from registry_server.inference_grpc.messages import SERVICE
from registry_server.tensors import Limits

MESSAGE = Infer(
    model_name="slow",
    inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 4]}],
    raw_input_contents=[bytes(16)],
)
INFER = f"/{SERVICE}/ModelInfer"


# Seconds. What is asked for is half a second or a minute, by grpc's clock; ours reads differently.
CLOCKS = 20.0


@dataclasses.dataclass
class SlowEngine:
    """Takes what it is asked and waits, until it is cancelled or told to refuse."""

    limits: Limits
    deadlines: list[float | None] = dataclasses.field(default_factory=list)
    gone: int = 0

    def __post_init__(self) -> None:
        self.asked, self.refuse = asyncio.Event(), asyncio.Event()

    async def infer(self, *_: Any, deadline: float | None = None) -> Any:
        loop = asyncio.get_running_loop()
        self.deadlines.append(None if deadline is None else deadline - loop.time())
        self.asked.set()
        try:
            async with asyncio.timeout_at(deadline):
                await self.refuse.wait()
        except TimeoutError as exc:
            raise Expired("too late") from exc
        except asyncio.CancelledError:
            self.gone += 1
            raise
        raise Busy("full", "try again")


class Client:
    """Calls to that engine through a real server, on one event loop."""

    def __init__(self, engine: SlowEngine, channel: grpc.aio.Channel, address: str = "") -> None:
        self.engine, self.channel, self.address = engine, channel, address

    def infer(self, message: Any = MESSAGE, **how: Any) -> Any:
        return self.channel.unary_unary(INFER)(message.SerializeToString(), **how)


def around(work: Callable[[Client], Awaitable[None]], **limits: Any) -> SlowEngine:
    async def all_of_it() -> SlowEngine:
        engine = SlowEngine(Limits(**limits))
        calls = Calls(engine, Intake(engine.limits), Gate())  # type: ignore[arg-type]
        async with (
            listening(calls, "127.0.0.1", 0, None) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            try:
                await work(Client(engine, channel, address))
            finally:
                engine.refuse.set()
        return engine

    return asyncio.run(all_of_it())


async def status(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def test_a_client_that_cancels_takes_its_request_out_of_the_engine() -> None:
    async def work(client: Client) -> None:
        call = client.infer()
        await client.engine.asked.wait()
        assert call.cancel()
        await until(lambda: client.engine.gone == 1)

    around(work)


def test_a_connection_that_closes_does_too() -> None:
    async def work(client: Client) -> None:
        call = client.infer()
        await client.engine.asked.wait()
        await client.channel.close()
        await until(lambda: client.engine.gone == 1)
        assert call.cancelled()

    around(work)


def test_the_deadline_of_a_call_is_the_engines() -> None:
    async def work(client: Client) -> None:
        assert (await status(client.infer(timeout=0.5)))[0] == "DEADLINE_EXCEEDED"
        assert client.engine.deadlines[0] < CLOCKS

    around(work)


def test_the_parameter_timeout_counts_where_it_is_the_shorter() -> None:
    async def work(client: Client) -> None:
        message = Infer.FromString(MESSAGE.SerializeToString())
        message.parameters["timeout"].int64_param = 200_000
        assert await status(client.infer(message, timeout=60)) == ("DEADLINE_EXCEEDED", "too late")
        assert client.engine.deadlines[0] < CLOCKS
        message.parameters["timeout"].int64_param = 60_000_000
        await status(client.infer(message, timeout=0.2))
        assert client.engine.deadlines[1] < CLOCKS

    around(work)


def test_without_any_deadline_the_engine_has_none() -> None:
    async def work(client: Client) -> None:
        call = client.infer()
        await client.engine.asked.wait()
        assert client.engine.deadlines == [None]
        client.engine.refuse.set()
        assert await status(call) == ("UNAVAILABLE", "full; try again")

    around(work)


def test_more_calls_than_the_queue_is_long_are_refused() -> None:
    async def work(client: Client) -> None:
        calls = [client.infer() for _ in range(4)]
        await until(lambda: len(client.engine.deadlines) == 4)
        # A connection has no room for a fifth; another one has.
        async with grpc.aio.insecure_channel(client.address, [("grpc.x", 1)]) as channel:
            refused = await status(Client(client.engine, channel).infer())
        assert refused == ("UNAVAILABLE", "4 calls are being answered; try again")
        for call in calls:
            call.cancel()

    around(work, queue=4)


def test_bytes_held_are_bounded() -> None:
    async def work(client: Client) -> None:
        call = client.infer()
        await client.engine.asked.wait()
        assert await status(client.infer()) == (
            "UNAVAILABLE",
            "the server holds as many request bytes as it may; try again",
        )
        call.cancel()
        await until(lambda: client.engine.gone == 1)
        client.engine.refuse.set()
        assert (await status(client.infer()))[1] == "full; try again"  # given back

    around(work, waiting=len(MESSAGE.SerializeToString()) * 3 // 2)


def test_a_message_that_does_not_come_is_given_up() -> None:
    async def work(client: Client) -> None:
        call = client.channel.stream_unary(INFER)()
        assert await status(call) == (
            "DEADLINE_EXCEEDED",
            "the message did not arrive within 0.2 s",
        )
        call = client.channel.stream_unary(INFER)(iter([]))
        assert await status(call) == ("INVALID_ARGUMENT", "the call ended before its message")

    around(work, body_seconds=0.2)


def test_a_server_that_stops_lets_what_runs_end_and_takes_no_more() -> None:
    async def main() -> None:
        engine = SlowEngine(Limits())
        calls = Calls(engine, Intake(engine.limits), Gate())  # type: ignore[arg-type]
        around = listening(calls, "127.0.0.1", 0, None)
        address = await around.__aenter__()
        async with grpc.aio.insecure_channel(address) as channel:
            client = Client(engine, channel)
            call = client.infer()
            await engine.asked.wait()
            stopping = asyncio.create_task(around.__aexit__(None, None, None))
            await asyncio.sleep(0.1)
            assert (await status(client.infer()))[0] == "UNAVAILABLE"
            assert len(engine.deadlines) == 1
            engine.refuse.set()
            assert await status(call) == ("UNAVAILABLE", "full; try again")
            await stopping

    asyncio.run(main())
