"""From pairs of measurements to the figures that are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.serving.load import Figures, middle

# Measured elsewhere, repeated here because the server comes in an image of NVIDIA's alone.
PUBLISHED = {
    "triton 2.51": {
        "source": "NVIDIA's image 24.10, ONNX Runtime backend, one CPU instance, dynamic batching;"
        " two cores of an AMD EPYC, wrk and h2load on the same cores, 32 clients, 2026-11",
        "mlp": {
            "http": {"requests_per_s": 30393, "p99_ms": 3.1, "cpu_us": 47},
            "grpc": {"requests_per_s": 21387, "p99_ms": 3.0, "cpu_us": 63},
        },
        "lite25": {
            "http": {"requests_per_s": 19400, "p99_ms": 7.4},
            "grpc": {"requests_per_s": 18200, "p99_ms": 3.7},
        },
        "asgi_onnxruntime_mlp_cpu_us": 31.8,
        "cpu_to_asgi_mlp": 1.48,
    }
}
LEFT_OUT = {
    "triton": "its server is in no package registry; its published figures are in `published`",
    "pytriton": "needs Triton's libraries, and fails on Python 3.11.7; published: half of MLServer",
    "torchserve": "needs Java and a torch model, and is no longer developed",
}


@dataclass(frozen=True)
class Pair:
    """We and one peer in turn, as medians of the rounds."""

    protocol: str
    model: str
    clients: int
    peer: str
    yardstick: bool
    ours: Figures
    theirs: Figures

    @property
    def name(self) -> str:
        """Where it stands in the figures."""
        return f"{self.protocol}/{self.model}/{self.clients}/{self.peer}"

    @property
    def times(self) -> float:
        """How many times as many requests per second as the peer."""
        return self.ours.requests_per_s / self.theirs.requests_per_s


def figures(pairs: list[Pair]) -> dict[str, Any]:
    """`{protocol: {model: {clients: {who: figures}}}}`, and what others rely on."""
    return _table(pairs) | {
        **_least(pairs, "http", "best_peer_ratio_min"),
        **_least(pairs, "grpc", "best_peer_ratio_min_grpc"),
        "p99_not_lower": [
            it.name for it in _rivals(pairs) if it.ours.p99_ms >= it.theirs.p99_ms
        ],
        "cpu_to_asgi_c32": {
            it.model: round(it.ours.cpu_us / it.theirs.cpu_us, 2)
            for it in pairs
            if (it.peer, it.clients) == ("asgi-onnxruntime", 32)
        },
    }  # fmt: skip


def _table(pairs: list[Pair]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for it in pairs:
        models = table.setdefault(it.protocol, {})
        row = models.setdefault(it.model, {}).setdefault(str(it.clients), {})
        same = [
            other.ours
            for other in pairs
            if (other.protocol, other.model, other.clients) == (it.protocol, it.model, it.clients)
        ]
        row["ours"] = middle(same).as_json()
        row[it.peer] = it.theirs.as_json() | {"ours_times": round(it.times, 2)}
    return table


def _least(pairs: list[Pair], protocol: str, key: str) -> dict[str, Any]:
    """The pair in which we are the least ahead."""
    rivals = [it for it in _rivals(pairs) if it.protocol == protocol]
    if not rivals:
        return {}
    worst = min(rivals, key=lambda it: it.times)
    loaded = [it.times for it in rivals if it.clients > 1]
    found = {key: round(worst.times, 2), f"{key}_at": worst.name}
    return found | ({f"{key}_loaded": round(min(loaded), 2)} if loaded else {})


def _rivals(pairs: Iterable[Pair]) -> list[Pair]:
    return [it for it in pairs if not it.yardstick]


def against_raw(ours: list[float], raw: list[float]) -> dict[str, float]:
    """Samples per second of us and of ONNX Runtime alone, in turn: the median of the ratios."""
    ratios = sorted(a / b for a, b in zip(ours, raw, strict=True))
    return {
        "gen3d_b32_vs_raw": round(median(ratios), 3),
        "gen3d_b32_vs_raw_low": round(ratios[0], 3),
        "gen3d_b32_vs_raw_high": round(ratios[-1], 3),
        "gen3d_b32_samples_per_s": round(median(ours), 1),
    }
