"""`catalog serve` as a laboratory runs it: from a catalog, with tokens, metrics and all checks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.serving import questions
from benchmarks.serving.models import Model
from benchmarks.serving.peers import all_right, answer_of
from benchmarks.serving.processes import NotStarted, free_port, running
from benchmarks.serving.questions import Question
from catalog.errors import CatalogError

_CATALOG = [sys.executable, "-c", "from catalog.cli import main; main()"]
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Ours:
    """The running command, and how to ask it."""

    pid: int
    port: int
    grpc_port: int
    token: str

    def http(self, model: Model, x: np.ndarray) -> Question:
        """Binary tensors."""
        return questions.binary(model, x, self.port, self.token)

    def json(self, model: Model, x: np.ndarray) -> Question:
        """JSON alone, as many of the peers take it."""
        return questions.protocol_json(model, x, self.port, self.token)

    def grpc(self, model: Model, x: np.ndarray) -> Question:
        """Raw contents."""
        return questions.grpc_raw(model, x, self.grpc_port, self.token)


@contextmanager
def serving(models: Sequence[Model], files: Path, place: Path) -> Iterator[Ours]:
    """Publish the version folders `files`/NAME, make a token and serve them while the block runs.

    Raises
    ------
    CatalogError
    """
    place.mkdir()
    told = {"CATALOG_HOME": str(place / "home"), "CATALOG_CACHE": str(place / "cache")}
    told |= {"CATALOG_STORE": "", "CATALOG_INDEX": "", "CATALOG_CONFIG": str(place / "none")}
    for model in models:
        _said(["publish", str(files / model.name)], told)
    token = _said(["token", "create", "bench"], told)
    ports = free_port(), free_port()
    command = [*_CATALOG, "serve", *(model.name for model in models), "--auth"]
    command += ["--port", str(ports[0]), "--grpc-port", str(ports[1])]
    ours, first = Ours(0, *ports, token), models[0]
    x = first.rows(1)
    asked = [ask(first, x) for ask in (ours.http, ours.json, ours.grpc)]
    ready = partial(all_right, asked, answer_of(files / first.name / "model.onnx", x))
    try:
        with running(command, ready, place, _START_SECONDS, **told) as pid:
            yield Ours(pid, *ports, token)
    except NotStarted as exc:
        raise CatalogError(f"catalog serve did not start: {exc}") from exc


def _said(words: list[str], environment: dict[str, str]) -> str:
    """What a command prints."""
    done = subprocess.run(
        [*_CATALOG, *words], capture_output=True, text=True, env=os.environ | environment
    )
    if done.returncode:
        raise CatalogError(f"catalog {' '.join(words)} failed: {done.stderr[-600:]}")
    return done.stdout.strip()
