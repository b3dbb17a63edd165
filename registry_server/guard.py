"""The outermost layer of every request: host check, request id, log line, last-resort 500."""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import secrets
import socket
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry_server.errors import quoted
from registry_server.problem import refuse

_log = logging.getLogger(__name__)
_lines = logging.getLogger("registry_server.requests")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:]*))(?::[0-9]*)?")  # [address]:port or name:port
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104  compared with, not bound to


def log_requests() -> None:
    """Write one line of JSON for every request to stderr, and nothing else on it."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    _lines.addHandler(handler)
    _lines.setLevel(logging.INFO)
    _lines.propagate = False


def log_request(identity: str, method: str, path: str, status: int, started: float) -> None:
    """Write the line of a request that began at `started`, seconds of `time.perf_counter`."""
    if not _lines.isEnabledFor(logging.INFO):
        return
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": identity,
        "method": method,
        "path": path[:200],
        "status": status,
        "ms": round((time.perf_counter() - started) * 1e3, 1),
    }
    # JSON in ASCII: a path is a client's text, and cannot fake another line.
    _lines.info(json.dumps(line))


def new_id() -> str:
    """The name of one request, in its answer and in the log."""
    return secrets.token_hex(8)


def internal_error(identity: str) -> tuple[str, str]:
    """Log the exception that is being handled; what its caller is told of it, and a hint."""
    _log.exception("request %s", identity)
    return f"internal error, request {identity}", "the server's log has the details"


class Hosts:
    """The names under which this server may be addressed.

    A page in a browser can point its own domain name at 127.0.0.1 (DNS rebinding); the Host
    header then holds that name. An IP address in it cannot be such a trick, so a server that
    listens everywhere accepts every address, but only names it was told.
    """

    def __init__(self, listen: str, also: Iterable[str] = ()) -> None:
        self._everywhere = listen in _EVERYWHERE
        own = {socket.gethostname()} if self._everywhere else {listen}
        self._names = _LOOPBACK | {name.lower() for name in (*own, *also)}

    def allows(self, header: str) -> bool:
        """Whether a Host header names this server."""
        found = _HOST.fullmatch(header.strip().lower())
        if found is None:
            return False
        host = found[1] or found[2]
        if host in self._names:
            return True
        return self._everywhere and _is_address(host)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever happens inside, the answer has the one error shape."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = new_id()
        started = time.perf_counter()
        status = 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identity
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        scope.setdefault("state", {})["request_id"] = identity
        try:
            await self._answer(scope, receive, tagged)
        except Exception:  # noqa: BLE001  the server's own boundary: nothing may leak past it
            text = internal_error(identity)
            if not status:
                await refuse(scope, 500, *text)(scope, receive, tagged)
        log_request(identity, scope["method"], scope["path"], status, started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = Headers(scope=scope).getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if self._hosts.allows(host):
            await self._app(scope, receive, send)
            return
        response = refuse(
            scope,
            400,
            f"this server does not answer to the host name {quoted(host)}",
            "start it with --host or --allow-host to add a name",
        )
        await response(scope, receive, send)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
