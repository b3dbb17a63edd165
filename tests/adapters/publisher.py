"""A process that publishes in children it forks, which may be killed.

python -m tests.adapters.publisher MODULE...: it imports these, which takes seconds, once, and opens
nothing; a child begins in milliseconds. A line of JSON on stdin is an order, a line on stdout tells
what became of it:

{"uri", "home", "name", "number", "die"}: one publish. `die` is a point of `crash_points`, or the
seconds after which it is killed from outside, or null. -> {"version", "digest", "seconds"} of one
that was acknowledged, {"killed": die}, or {"failed": why}.
{"uri", "home", "name", "numbers": [[...], ...]}: one child for each list, all at once.
-> a list of {"published": [[version, digest], ...]} or {"failed": why}.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from catalog.errors import StoreError
from catalog.stores import Store
from tests.adapters.crash_points import Reaper, arm
from tests.conformance.store_tools import manifest_of, numbered, publish

MODULES = {
    "mlflow": (
        "catalog_mlflow._store", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store", "sqlalchemy.dialects.sqlite",
        "mlflow.store.tracking.sqlalchemy_workspace_store",
        "mlflow.store.model_registry.sqlalchemy_workspace_store", "alembic.command",
    ),
    "mlflow-server": (
        "catalog_mlflow._store", "mlflow.tracking", "mlflow.store.tracking.rest_store",
        "mlflow.store.model_registry.rest_store",
    ),
    "oci": ("catalog_oci._store", "oci.data_science.models", "oci.object_storage"),
}  # fmt: skip
Order = dict[str, Any]


class Publisher:
    """The other end: give an order, get the answer."""

    def __init__(self, process: subprocess.Popen[str], uri: str, home: Path) -> None:
        self._process = process
        self._common = {"uri": uri, "home": str(home)}

    def to(self, uri: str, home: Path) -> Publisher:
        """The same process, publishing elsewhere."""
        return Publisher(self._process, uri, home)

    def publish(self, name: str, number: int, die: str | float | None = None) -> Order:
        answer = self._order({"name": name, "number": number, "die": die})
        assert isinstance(answer, dict)
        return answer

    def race(self, name: str, numbers: list[list[int]]) -> list[Order]:
        answer = self._order({"name": name, "numbers": numbers})
        assert isinstance(answer, list)
        return answer

    def _order(self, order: Order) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(self._common | order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def running_publisher(kind: str, uri: str, home: Path) -> Iterator[Publisher]:
    """A publisher to a store of this kind, ready."""
    command = [sys.executable, "-m", "tests.adapters.publisher", *MODULES[kind]]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        yield Publisher(process, uri, home)
        process.stdin.close()


def open_at(uri: str, home: Path) -> Store:
    """The store that `uri` names, with its own files in `home`.

    Not by `open_store`: to look through all that is installed for its entry point takes as long as
    a publish.
    """
    if uri.startswith("oci"):
        from catalog_oci import OciStore, _place

        return OciStore(_place.parse_place(uri), home / "oci-spool")
    from catalog_mlflow import MlflowStore
    from catalog_mlflow._place import parse_place

    return MlflowStore(parse_place(uri, home))


def publish_one(order: Order) -> Order:
    began = time.perf_counter()
    if isinstance(order["die"], str):
        arm(Reaper(order["die"]), order["uri"])
    store = open_at(order["uri"], Path(order["home"]))
    version = publish(store, order["name"], numbered(order["number"]))
    seconds = time.perf_counter() - began
    return {"version": version.version, "digest": version.digest, "seconds": seconds}


def publish_many(order: Order, numbers: list[int]) -> Order:
    """Many small versions; whoever fails tries again, as a user would."""
    store, published, again = open_at(order["uri"], Path(order["home"])), [], 0
    for number in numbers:
        files = {"card.yaml": b"seed: %d\n" % number, "model.onnx": b"weights" * 1000}
        for attempt in range(5):
            try:
                version = publish(store, order["name"], files)
            except StoreError:
                again += 1
                if attempt == 4:
                    raise
            else:
                break
        assert version.digest == manifest_of(files).digest
        published.append([version.version, version.digest])
    return {"published": published, "again": again}


def fork(work: Callable[[], Order]) -> tuple[int, int]:
    """Run `work` in a child; returns its pid and the pipe on which it says what came of it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = work()
        except BaseException as exc:
            answer = {"failed": f"{type(exc).__name__}: {getattr(exc, 'message', exc)}"}
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    return pid, reading


def wait_for(pid: int, reading: int, die: str | float | None = None) -> Order:
    """What a child said before it ended, however it ended; killed if that takes `die` seconds."""
    with os.fdopen(reading, "rb") as pipe:
        if isinstance(die, float) and not select.select([pipe], [], [], die)[0]:
            os.kill(pid, signal.SIGKILL)
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if not said:
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        return {"killed": die}
    answer: Order = json.loads(said)
    return answer


def obey(order: Order) -> Order | list[Order]:
    if "numbers" not in order:
        return wait_for(*fork(lambda: publish_one(order)), order["die"])
    children = [fork(lambda n=numbers: publish_many(order, n)) for numbers in order["numbers"]]
    return [wait_for(*child) for child in children]


def main() -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for module in sys.argv[1:]:
        import_module(module)
    gc.freeze()  # or children would copy what they only count
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
