"""A process that publishes in children of its own, each of which may kill itself on the way.

python -m tests.adapters.oci_double.zygote. A line of JSON on stdin starts one child: {"uri",
"spool", "name", "number", "die"}; `die` is a point of POINTS, or the number of an event, or null.
A line on stdout tells what became of it: {"version", "digest"}, or {"killed": point or number}.
Importing the SDK takes seconds, so that it is imported once and inherited.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

POINTS = (
    "half spooled", "spooled", "before create", "created", "half sent", "sent", "before ledger",
    "ledger written", "before version", "version written", "before clean-up",
)  # fmt: skip
_REQUESTS = {
    ("POST", "/models"): ("before create", "created"),
    ("POST", "/models/{modelId}/artifact"): ("before send", "sent"),
    ("PUT", "/modelVersionSets/{modelVersionSetId}"): ("before ledger", "ledger written"),
    ("PUT", "/models/{modelId}"): ("before version", "version written"),
}  # fmt: skip


class Reaper:
    """Kills its process at a named point, or at the n-th of all points that are passed."""

    def __init__(self, die: str | int | None) -> None:
        self._die = die
        self._passed = 0

    def pass_by(self, point: str) -> None:
        self._passed += 1
        if self._die in (point, self._passed):
            os.kill(os.getpid(), signal.SIGKILL)

    def between(self, function: Callable[..., Any], *names: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(names[0])
            answer = function(*args, **kwargs)
            self.pass_by(names[-1])
            return answer

        return wrapped


def arm(reaper: Reaper) -> None:
    """Put the points where they belong: between a file, a request, an answer and the next."""
    from oci.base_client import BaseClient

    from catalog_oci import _spool, _zip

    call, read = BaseClient.call_api, _zip.Body.read

    def call_api(self: Any, *, resource_path: str, method: str, **rest: Any) -> Any:
        before, after = _REQUESTS.get((method, resource_path), ("asked", "answered"))
        rest |= {"resource_path": resource_path, "method": method}
        return reaper.between(call, before, after)(self, **rest)

    def read_body(self: Any, size: int = -1) -> bytes:
        data = read(self, size)
        reaper.pass_by("half sent")
        return data

    BaseClient.call_api = call_api
    _zip.Body.read = read_body  # type: ignore[method-assign]
    _spool.copy_verified = reaper.between(_spool.copy_verified, "before file", "half spooled")
    put, remove = _spool.Spool.put, _spool.Spool.remove
    _spool.Spool.put = reaper.between(put, "before spool", "spooled")  # type: ignore[method-assign]
    _spool.Spool.remove = reaper.between(  # type: ignore[method-assign]
        remove, "before clean-up", "after clean-up"
    )


def publish_one(order: dict[str, Any]) -> dict[str, Any]:
    from catalog_oci import OciStore
    from catalog_oci._place import parse_place
    from tests.conformance.store_tools import numbered, publish

    arm(Reaper(order["die"]))
    store = OciStore(parse_place(order["uri"]), Path(order["spool"]))
    version = publish(store, order["name"], numbered(order["number"]))
    return {"version": version.version, "digest": version.digest}


def in_child(order: dict[str, Any]) -> dict[str, Any]:
    """Fork, publish, and read what the child says before it ends, however it ends."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = publish_one(order)
        except BaseException as exc:
            answer = {"failed": f"{type(exc).__name__}: {exc}"}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"killed": order["die"]}
    answer: dict[str, Any] = json.loads(said)
    return answer


def main() -> None:

    import tests.conformance.store_tools  # noqa: F401

    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(in_child(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
