"""A server, and people who search it at once, each in a thread of one process beside it."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.registry_cards import SEED, as_parameters, asked
from catalog.settings import Settings

_PATIENCE = 60.0


class Asked(NamedTuple):
    """Milliseconds of each search, seconds of all together, CPU seconds of who asked."""

    ms: list[float]
    seconds: float
    cpu_s: float


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[int, Callable[[], float]]]:
    """`catalog serve` on a free port, until the end of the block; what CPU time tells it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = ["-m", "catalog", "serve", "--no-grpc", "--auth", "--port", str(port)]
    places = {"CATALOG_HOME": settings.home, "CATALOG_CACHE": settings.cache,
              "CATALOG_INDEX": settings.index, "CATALOG_STORE": settings.store}  # fmt: skip
    environment = os.environ | {name: str(value) for name, value in places.items()}
    server = subprocess.Popen([sys.executable, *command], env=environment)
    try:
        _wait_for(server, port)
        yield port, lambda: _cpu_seconds(server.pid)
    finally:
        server.terminate()
        server.wait(_PATIENCE)


def ask_at_once(port: int, tokens: Sequence[str], each: int, pause: float) -> Asked:
    """Let every token's owner ask `each` questions, one in `pause` seconds or without pause."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    asking = context.Process(target=_ask, args=(port, list(tokens), each, pause, answers))
    asking.start()
    answered: Asked | str = answers.get(timeout=600)
    asking.join()
    if isinstance(answered, str):
        raise RuntimeError(answered)  # noqa: TRY004
    return answered


def _ask(port: int, tokens: list[str], each: int, pause: float, answers: Any) -> None:
    times: list[list[float]] = [[] for _ in tokens]
    wrong: list[str] = []
    people = [
        threading.Thread(target=_person, args=(port, token, number, each, pause, told, wrong))
        for number, (token, told) in enumerate(zip(tokens, times, strict=True))
    ]
    began, cpu = time.perf_counter(), time.process_time()
    for person in people:
        person.start()
    for person in people:
        person.join()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    answers.put(wrong[0] if wrong else Asked([it for of in times for it in of], seconds, cpu))


def _person(
    port: int, token: str, number: int, each: int, pause: float, told: list[float], wrong: list[str]
) -> None:
    rng = random.Random(f"{SEED} {number} {each} {pause}")
    questions = [urlencode(as_parameters(it)) for it in islice(asked(rng), each)]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    time.sleep(rng.random() * pause)
    for question in questions:
        began = time.perf_counter()
        connection.request(
            "GET", f"/api/v1/models?{question}", headers={"Authorization": f"Bearer {token}"}
        )
        answer = connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - began
        if answer.status != 200:
            wrong.append(f"{question}: {answer.status} {body[:300]!r}")
            break
        told.append(1000 * took)
        time.sleep(max(0.0, pause - took))
    connection.close()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/v2/health/live")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError("catalog serve did not start")


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, of all its threads; without those of PostgreSQL."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
