"""`catalog serve` beside other servers, on the same models, in the same minutes.

Each pair of us and a peer is measured in turn, three times over: us, the peer, us, the peer. Both
servers run all the time, idle while the other is asked; one h2load on the same cores asks both.
Compare the CPU time of the server's processes per request first: wall times on two cores, of which
the generator takes its part, say less. Peers run in environments of their own with the same ONNX
Runtime, and their answers are compared with it before they are timed. We run as `catalog serve
--auth`: the token, metrics, limits and checks of every request are on.

A peer that takes JSON alone is compared with our binary form, because that is the choice that its
users have; `ours-json` is our own JSON. Yardsticks are no servers for models but the floor under
them: uvicorn and grpc.aio with a constant answer, and uvicorn with a bare `session.run`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import ours, peers
from benchmarks.serving.load import h2load_there, middle
from benchmarks.serving.load import measure as load
from benchmarks.serving.models import MODELS, SEED, Model
from benchmarks.serving.ours import Ours
from benchmarks.serving.peers import PEERS, NoPeer, Peer
from benchmarks.serving.questions import Question
from benchmarks.serving.report import LEFT_OUT, PUBLISHED, Pair, against_raw, figures

__all__ = ["SEED", "measure"]
_SMALL = (MODELS["mlp"], MODELS["lite25"])


@dataclass(frozen=True)
class Plan:
    """Who is compared, with how many clients, how often, and how long each time."""

    peers: tuple[Peer, ...]
    clients: tuple[int, ...]
    rounds: int
    milliseconds: int
    batches: int  # of 32 showers, in each round of the generator
    each: int  # times that a client asks a slow server

    def much(self, clients: int, per_s: float) -> str:
        """For h2load, how long or how often to ask a server of that speed.

        A slow one is asked a number of times: what it had in hand at the end of a time would be
        work without a request.
        """
        few = per_s * self.milliseconds / 1000 < 2 * self.each * clients
        return f"-n{self.each * clients}" if few else f"-D{self.milliseconds}ms"


FULL = Plan(PEERS, (1, 8, 32), 3, 1500, 4, 10)
QUICK = Plan(tuple(it for it in PEERS if it.yardstick), (1, 32), 1, 600, 2, 2)


def measure(quick: bool) -> dict[str, Any]:
    """Figures by protocol, model, number of clients and server."""
    h2load_there()
    plan = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as temp:
        place = Path(temp)
        for model in MODELS.values():
            model.write(place / "models" / model.name)
        with ours.serving(tuple(MODELS.values()), place / "models", place / "ours") as us:
            found = _generator(us, plan, place)
            pairs = list(_own_json(us, plan, place))
            skipped: dict[str, str] = {}
            for peer in plan.peers:
                try:
                    pairs += _peer(us, peer, plan, place)
                except NoPeer as exc:
                    skipped[peer.name] = str(exc)
    told = {peer.name: peers.installed(peer) for peer in plan.peers if peer.name not in skipped}
    rest = {"skipped": skipped, "left_out": LEFT_OUT, "published": PUBLISHED, "versions": told}
    return found | figures(pairs) | rest


def _peer(us: Ours, peer: Peer, plan: Plan, place: Path) -> list[Pair]:
    """One peer, on each model, over each protocol that it speaks."""
    pairs = []
    for model in _SMALL:
        file, x = place / "models" / model.name / "model.onnx", model.rows(1)
        with peers.serving(peer, model, file, place / f"{peer.name}-{model.name}") as it:
            for question, mine in ((it.http, us.http(model, x)), (it.grpc, us.grpc(model, x))):
                if question is not None:
                    pairs += _pairs(us, mine, question, it.pid, peer, model, plan, place)
    return pairs


def _own_json(us: Ours, plan: Plan, place: Path) -> Iterator[Pair]:
    for model in _SMALL:
        x = model.rows(1)
        json = Peer("ours-json", "", (), yardstick=True)
        yield from _pairs(
            us, us.http(model, x), us.json(model, x), us.pid, json, model, plan, place
        )


def _pairs(
    us: Ours, mine: Question, question: Question, pid: int, peer: Peer, model: Model, plan: Plan,
    place: Path,
) -> Iterator[Pair]:  # fmt: skip
    for clients in plan.clients:
        sides = ((mine, us.pid), (question, pid))
        warm = [load(*side, clients, place, f"-n{2 * clients}") for side in sides]
        much = [plan.much(clients, it.requests_per_s) for it in warm]
        rounds = [
            [load(*side, clients, place, it) for side, it in zip(sides, much, strict=True)]
            for _ in range(plan.rounds)
        ]
        first, second = (middle(it) for it in zip(*rounds, strict=True))
        protocol = "grpc" if question.grpc else "http"
        yield Pair(protocol, model.name, clients, peer.name, peer.yardstick, first, second)


def _generator(us: Ours, plan: Plan, place: Path) -> dict[str, Any]:
    """32 showers a request, one request at a time, and the same with ONNX Runtime alone."""
    model, mine, raw = MODELS["gen3d"], [], []
    x = model.rows(32)
    session = peers.open_session(place / "models" / model.name / "model.onnx", threads=0)
    question = us.http(model, x)
    _same(question.ask(), session.run(None, {"x": x})[0])
    for _ in range(plan.rounds + 2):
        got = load(question, us.pid, 1, place, f"-n{plan.batches}")
        mine.append(len(x) * got.requests_per_s)
        began = time.perf_counter()
        for _ in range(plan.batches):
            session.run(None, {"x": x})
        raw.append(len(x) * plan.batches / (time.perf_counter() - began))
    return against_raw(mine, raw)


def _same(found: np.ndarray, expected: np.ndarray) -> None:
    # Not bit for bit: two threads may share a sum in another way than the one session's.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
