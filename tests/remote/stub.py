"""A server of a few lines that answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ABOUT = {"name": "hep-model-catalog", "version": "0.1.0", "store": "lab", "protected": ["champion"]}
Answer = tuple[int, dict[str, str], bytes]


class Stub(ThreadingHTTPServer):
    """`answers` are given one after the other, the last of them for ever."""

    daemon_threads = True

    def __init__(self, *answers: Answer | Callable[[Any], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked = list(answers), []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that leaves is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.server.asked.append((self.command, self.path, dict(self.headers.items()), body))
        found = self.server.answers
        answer = found.pop(0) if len(found) > 1 else found[0]
        if callable(answer):
            answer(self)
            return
        status, headers, data = answer
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815


def told(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): it for name, it in headers.items()}
    return status, {"content-type": "application/json", **named}, json.dumps(value).encode()


def error(status: int, message: str = "no", hint: str = "", **headers: str) -> Answer:
    body = {"code": "x", "message": message, "hint": hint, "request_id": "r1"}
    return told({"error": body}, status, **headers)


@contextmanager
def serving(*answers: Answer | Callable[[Any], None]) -> Iterator[Stub]:
    with Stub(*answers) as stub:
        thread = threading.Thread(target=stub.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stub
        finally:
            stub.shutdown()
            thread.join()
