"""Where a publish can be killed: before and after every step that leaves something behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

_STEPS = (
    "before create_run", "after create_run", "before put model.onnx", "half model.onnx",
    "after put model.onnx", "before set_tag", "after set_tag", "before put manifest.json",
    "after put manifest.json", "before create_registered_model", "after create_registered_model",
    "before create_model_version", "after create_model_version", "before update_run",
    "after update_run",
)  # fmt: skip
_INSIDE = (
    "half manifest.json", "inside create_run", "inside set_tag", "inside create_model_version",
)  # fmt: skip
_OCI = (
    "half spooled", "spooled", "before create", "created", "half sent", "sent", "before ledger",
    "ledger written", "before version", "version written", "before clean-up",
)  # fmt: skip
POINTS = {"mlflow": (*_STEPS, *_INSIDE), "mlflow-server": _STEPS, "oci": _OCI}

_REQUESTS = {
    ("POST", "/models"): ("before create", "created"),
    ("POST", "/models/{modelId}/artifact"): ("before send", "sent"),
    ("PUT", "/modelVersionSets/{modelVersionSetId}"): ("before ledger", "ledger written"),
    ("PUT", "/models/{modelId}"): ("before version", "version written"),
}  # fmt: skip


class Reaper:
    """Kills its own process when it passes the point named `die`."""

    def __init__(self, die: str) -> None:
        self.die = die

    def pass_by(self, point: str) -> None:
        if self.die == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def between(self, function: Callable[..., Any], *names: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(names[0])
            try:
                return function(*args, **kwargs)
            finally:
                self.pass_by(names[-1])

        return wrapped


def arm(reaper: Reaper, uri: str) -> None:
    """Put the points where they belong in this process, for the store that `uri` names."""
    if uri.startswith("oci"):
        arm_oci(reaper)
    else:
        arm_mlflow(reaper)


def arm_mlflow(reaper: Reaper) -> None:
    """Around each call to MLflow and each file; inside its transactions and half-way in a file."""
    from catalog_mlflow import _edge, _folder, _http_folder

    once, copy, chunks = _edge.Edge.once, _folder.copy_verified, _http_folder._VerifiedBody.__iter__
    running: list[str] = []

    def named(self: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        name = getattr(function, "__name__", "?")
        running.append(name)
        try:
            return reaper.between(once, f"before {name}", f"after {name}")(
                self, function, *args, **kwargs
            )
        finally:
            running.pop()

    def copy_half(source: Any, sink: Any, entry: Any) -> None:
        if reaper.die == f"half {entry.path}":
            sink.write(source.read(entry.size // 2))
            reaper.pass_by(reaper.die)
        copy(source, sink, entry)

    def send_half(self: Any) -> Iterator[bytes]:
        for chunk in chunks(self):
            yield chunk
            reaper.pass_by(f"half {self._entry.path}")

    for kind in (_folder.LocalFolder, _http_folder.HttpFolder):
        kind.put = _around_put(reaper, kind.put)  # type: ignore[method-assign]
    _edge.Edge.once = named  # type: ignore[method-assign]
    _folder.copy_verified = copy_half
    _http_folder._VerifiedBody.__iter__ = send_half  # type: ignore[method-assign]
    _inside_transactions(reaper, running)


def _around_put(reaper: Reaper, put: Callable[..., None]) -> Callable[..., None]:
    def wrapped(self: Any, entry: Any, source: Any) -> None:
        names = (f"before put {entry.path}", f"after put {entry.path}")
        reaper.between(put, *names)(self, entry, source)

    return wrapped


def _inside_transactions(reaper: Reaper, running: list[str]) -> None:
    """All rows are written, and not committed yet."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def before_commit(_: Any) -> None:
        if running:
            reaper.pass_by(f"inside {running[-1]}")

    event.listen(Engine, "commit", before_commit)


def arm_oci(reaper: Reaper) -> None:
    """Between a file, a request, an answer and the next."""
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
