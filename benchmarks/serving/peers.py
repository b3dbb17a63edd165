"""Who is compared with us: each in an environment of its own, made when it is first wanted."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import questions
from benchmarks.serving.models import Model
from benchmarks.serving.processes import NotStarted, free_port, running
from benchmarks.serving.questions import Question
from catalog.settings import load_settings

_HOSTS = Path(__file__).parent / "hosts"
_UVICORN = ("uvicorn[standard]==0.54.0", "uvloop==0.22.1", "httptools==0.8.0")
_INSTALLED = "installed.txt"
_START_SECONDS = 120.0
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}
Form = Callable[[Model, np.ndarray, int], Question]


@dataclass(frozen=True)
class Peer:
    """`host` is the script that serves; `yardstick`: no server for models, not a rival of ours."""

    name: str
    host: str
    needs: tuple[str, ...]
    http: Form | None = None
    grpc: Form | None = None
    yardstick: bool = False
    constant: bool = False

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is told; the same ONNX Runtime as ours."""
        return (*self.needs, f"onnxruntime=={version('onnxruntime')}")


PEERS = (
    Peer("asgi", "run_asgi.py", _UVICORN, questions.raw, yardstick=True, constant=True),
    Peer("asgi-onnxruntime", "run_asgi.py", _UVICORN, questions.raw, yardstick=True),
    Peer("grpc-aio", "run_grpc.py", ("grpcio==1.85.1",), grpc=questions.grpc_raw,
         yardstick=True, constant=True),
    Peer("fastapi", "run_fastapi.py", ("fastapi==0.165.0", *_UVICORN), questions.raw),
    Peer(
        "mlserver", "run_mlserver.py", ("mlserver==1.7.1", "uvloop<0.22"),
        questions.protocol_json, questions.grpc_raw,
    ),
    Peer("litserve", "run_litserve.py", ("litserve==0.2.19",),
         partial(questions.rows, path="/predict")),
    Peer("bentoml", "run_bentoml.py", ("bentoml==1.4.39",),
         partial(questions.rows, path="/infer")),
    Peer("mlflow", "run_mlflow.py", ("mlflow==3.17.2", "onnx==1.23.2"),
         partial(questions.rows, path="/invocations")),
    Peer("ray", "run_ray.py", ("ray[serve]==2.60.0",), questions.raw),
)  # fmt: skip


class NoPeer(Exception):
    """A peer cannot be had here; the message says why."""


@dataclass(frozen=True)
class Running:
    """A peer that serves one model."""

    pid: int
    http: Question | None
    grpc: Question | None


def environment(peer: Peer) -> Path:
    """The Python of the peer's own environment, kept below CATALOG_CACHE.

    Raises
    ------
    NoPeer
    """
    place = _place(peer)
    python, done = place / "bin" / "python", place / _INSTALLED
    if done.exists():
        return python
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    made = subprocess.run(
        [*pip, "install", "--quiet", *peer.requirements], capture_output=True, text=True
    )
    if made.returncode:
        shutil.rmtree(place, ignore_errors=True)
        last = [line for line in made.stderr.splitlines() if line.startswith("ERROR")][-2:]
        raise NoPeer(f"pip cannot install {' '.join(peer.needs)}: {' '.join(last)[:300]}")
    frozen = subprocess.run([*pip, "freeze"], capture_output=True, text=True, check=True)
    done.write_text(frozen.stdout, encoding="utf-8")
    return python


def installed(peer: Peer) -> list[str]:
    """What is compared, by version: the peer's own packages, ONNX Runtime and numpy."""
    names = {re.split(r"[\[<=]", it)[0] for it in (*peer.requirements, "numpy")}
    lines = (_place(peer) / _INSTALLED).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.partition("==")[0].lower() in names]


def _place(peer: Peer) -> Path:
    key = hashlib.sha256("\n".join((sys.version, *peer.requirements)).encode()).hexdigest()[:12]
    return load_settings().cache / "bench-serving" / key


@contextmanager
def serving(peer: Peer, model: Model, file: Path, place: Path) -> Iterator[Running]:
    """Let a peer serve a model while the block runs; its answers were compared with ours.

    Raises
    ------
    NoPeer
    """
    python = environment(peer)
    place.mkdir(parents=True)
    x = model.rows(1)
    ports = [free_port() for _ in range(3)]
    http = peer.http(model, x, ports[0]) if peer.http else None
    grpc = peer.grpc(model, x, ports[1]) if peer.grpc else None
    asked = [it for it in (http, grpc) if it]
    names = ("PORT", "GRPC_PORT", "METRICS_PORT")
    told = _ENVIRONMENT | dict(zip(names, map(str, ports), strict=True))
    told |= {"MODEL": str(file), "NAME": model.name}
    told["PATH"] = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    expected = answer_of(file, x)
    if peer.constant:
        told["ANSWER"] = str(place / "answer")
        (place / "answer").write_bytes(questions.constant(expected, grpc=grpc is not None))
    ready = partial(all_right, asked, expected)
    try:
        command = [str(python), str(_HOSTS / peer.host)]
        with running(command, ready, place, _START_SECONDS, **told) as pid:
            yield Running(pid, http, grpc)
    except NotStarted as exc:
        raise NoPeer(f"it did not start: {exc}") from exc


def answer_of(file: Path, x: np.ndarray) -> np.ndarray:
    """What ONNX Runtime says."""
    return np.asarray(open_session(file, threads=1).run(None, {"x": x})[0])


def open_session(file: Path, threads: int) -> Any:
    """A session with the defaults of ONNX Runtime; 0 threads is its own choice."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(file, options)


def all_right(asked: list[Question], expected: np.ndarray) -> bool:
    """Whether every question is answered, and rightly; False while nobody listens.

    Raises
    ------
    NotStarted
        It answers something else.
    """
    import grpc

    for question in asked:
        try:
            found = question.ask()
        except (OSError, grpc.RpcError):
            return False
        except ValueError as exc:
            if str(exc)[:3] in ("404", "503"):  # it listens, the model is still loading
                return False
            raise NotStarted(f"it refuses: {exc}") from exc
        if not np.allclose(found, expected, rtol=1e-5, atol=1e-6):
            raise NotStarted("its answer is not that of ONNX Runtime")
    return True
