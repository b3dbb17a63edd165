"""The server: signatures, faults on demand, and the way to the two services."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.adapters.oci_double import buckets, science
from tests.adapters.oci_double.keys import Identity, check_body, check_signature
from tests.adapters.oci_double.shelf import Shelf
from tests.adapters.oci_double.wire import RefusedError, Reply, Request

_CHUNK = 1 << 20


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose `METHOD /path` matches `where`."""

    where: str
    status: int = 0  # answered instead; 0: the connection is cut
    code: str = "InternalServerError"
    times: int = 1
    after: bool = False  # the work is done, only its answer is lost
    cut_at: int | None = None  # of a file, only so many bytes are sent
    delay: float = 0.0


class Double:
    """The state behind the server; everything in `folder`, but for identities and faults."""

    def __init__(self, folder: Path, *identities: Identity) -> None:
        self.folder = folder
        self.identities = list(identities)
        self.lock = threading.RLock()
        self.models = Shelf(folder, "datasciencemodel")
        self.sets = Shelf(folder, "datasciencemodelversionset")
        self.work = Shelf(folder, "datascienceworkrequest")
        self.tokens: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.now = time.time
        self.small_limit = 2_147_483_648  # bytes that one artifact request may move
        self.unique_sets = True
        self.polls = 1  # how often a work request is asked for before it is done
        self.url = ""

    def fail(self, where: str, **kwargs: Any) -> None:
        """Fail the next requests that match."""
        self.faults.append(Fault(where, **kwargs))

    def fault(self, line: str) -> Fault | None:
        """The fault for this request, used up once more."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.where, line):
                    fault.times -= 1
                    return fault
        return None

    def artifact(self, model_id: str) -> Path:
        """Where a model's artifact lies, or would."""
        return self.folder / "artifacts" / f"{model_id}.zip"


_ROUTES = [*science.ROUTES, *buckets.ROUTES]


def dispatch(double: Double, request: Request, target: str) -> Reply:
    """Check who asks, then let the first route that matches answer."""
    for method, pattern, is_json, function in _ROUTES:
        found = re.fullmatch(pattern, request.path)
        if not found or method != request.method:
            continue
        who = check_signature(
            double.identities, request.method, target, request.headers, double.now()
        )
        if is_json:
            check_body(request.headers, request.load())
        return function(double, request, who, *(unquote(part) for part in found.groups()))
    raise RefusedError(404, "NotAuthorizedOrNotFound", f"{request.method} {request.path}")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    double: Double

    def log_message(self, *args: Any) -> None:
        """Nothing on stderr."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        request = Request(self.command, url.path, query, self.headers, self.rfile)
        line = f"{self.command} {self.path}"
        self.double.requests.append(line)
        fault = self.double.fault(line)
        if fault and fault.delay:
            time.sleep(fault.delay)
        broken = fault and not fault.delay and fault.cut_at is None
        if broken and not fault.after:
            self._break(fault)
            return
        try:
            reply = dispatch(self.double, request, self.path)
        except RefusedError as exc:
            reply = Reply(exc.status, {"code": exc.code, "message": exc.message})
            self.close_connection = True  # of its body perhaps nothing was read
        except ConnectionError:
            self.close_connection = True
            return
        if broken:
            self._break(fault)
        else:
            self._send(reply, fault.cut_at if fault else None)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _break(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.status:
            self._send(Reply(fault.status, {"code": fault.code, "message": "a fault on demand"}))

    def _send(self, reply: Reply, cut_at: int | None = None) -> None:
        data = b"" if reply.body is None else json.dumps(reply.body).encode()
        path, start, stop = reply.file or (None, 0, len(data))
        self.send_response(reply.status)
        headers = {"opc-request-id": "double", "content-length": str(stop - start)}
        headers["content-type"] = "application/octet-stream" if path else "application/json"
        if self.close_connection:
            headers["connection"] = "close"
        if reply.status == 204:
            del headers["content-length"], headers["content-type"]
        for name, value in (headers | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(data, path, start, stop, cut_at)
        self.wfile.flush()

    def _send_body(
        self, data: bytes, path: Path | None, start: int, stop: int, cut_at: int | None
    ) -> None:
        if path is None:
            self.wfile.write(data)
            return
        if cut_at is not None and cut_at < stop - start:
            stop, self.close_connection = start + cut_at, True
        with path.open("rb") as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(_CHUNK, stop - start))):
                self.wfile.write(chunk)
                start += len(chunk)

    def handle(self) -> None:
        """A client may hang up whenever it likes."""
        try:
            super().handle()
        except ConnectionError:
            return

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ValueError):
            return


@contextmanager
def running_double(folder: Path, *identities: Identity) -> Iterator[Double]:
    """Serve a folder on a free port of this machine until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    double = Double(folder, *identities)
    handler = type("BoundHandler", (Handler,), {"double": double})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
