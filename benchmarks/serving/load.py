"""The load: h2load, the same for every server and for HTTP/1.1 and gRPC, as a client in C."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.serving.processes import cpu_seconds
from benchmarks.serving.questions import Question
from catalog.errors import CatalogError

_HINT = "apt-get install nghttp2-client    (it brings h2load)"


@dataclass(frozen=True)
class Figures:
    """Requests per second, 99th percentile in ms, CPU time of the server in us per request."""

    requests_per_s: float
    p99_ms: float
    cpu_us: float

    def as_json(self) -> dict[str, float]:
        """Rounded to what two cores can tell."""
        return {
            "requests_per_s": round(self.requests_per_s, 1),
            "p99_ms": round(self.p99_ms, 3),
            "cpu_us": round(self.cpu_us, 1),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def middle(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(
        median(it.requests_per_s for it in rounds),
        median(it.p99_ms for it in rounds),
        median(it.cpu_us for it in rounds),
    )


def h2load_there() -> None:
    """Look for the generator.

    Raises
    ------
    CatalogError
    """
    if shutil.which("h2load") is None:
        raise CatalogError("the load generator h2load is not installed", _HINT)


def measure(question: Question, pid: int, clients: int, place: Path, much: str) -> Figures:
    """Let `clients` connections ask without a pause.

    Parameters
    ----------
    pid : the server's first process
    much : how long or how often, as h2load takes it: `-D1500ms`, `-n100`

    Raises
    ------
    CatalogError
        An answer was no 2xx, was lost, or smaller than the output of the model.
    """
    body, log = place / "body", place / "requests.tsv"
    body.write_bytes(question.body)
    log.unlink(missing_ok=True)  # h2load appends
    headers = [
        word for key, value in question.headers.items() for word in ("-H", f"{key}: {value}")
    ]
    command = [
        "h2load", "-c", str(clients), "-m1", "-t1", much, "-d", str(body), f"--log-file={log}",
        *headers, *([] if question.grpc else ["--h1"]),
        f"http://127.0.0.1:{question.port}{question.path}",
    ]  # fmt: skip
    before = cpu_seconds(pid)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    used = cpu_seconds(pid) - before
    lines = log.read_text(encoding="ascii").splitlines() if log.exists() else []
    times = [int(line.split("\t")[2]) for line in lines]
    seconds = _checked(done.stdout + done.stderr, question, len(times))
    return Figures(len(times) / seconds, percentile(times, 0.99) / 1e3, 1e6 * used / len(times))


def _checked(said: str, question: Question, count: int) -> float:
    """Seconds that the load took, if every request was answered in full."""
    finished = re.search(r"finished in ([\d.]+)(us|ms|s)", said)
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", said)
    codes = re.search(r"(\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
    data = re.search(r"\((\d+)\) data", said)
    if finished is None or failed is None or codes is None or data is None or not count:
        raise CatalogError(f"h2load did not run: {said[-300:]}", _HINT)
    lost = [int(it) for it in (*failed.groups(), *codes.groups()[1:])]
    if any(lost) or int(data[1]) < count * question.least:
        raise CatalogError(f"port {question.port} {question.path}: not all was answered: {said}")
    return float(finished[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[finished[2]]
