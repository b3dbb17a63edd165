"""Talk to the server below any client library, and check how it refuses."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

INFER = "/v2/models/affine/infer"
LENGTH = "Inference-Header-Content-Length"
GOOD = json.dumps(
    {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
).encode()
_LEAKS = re.compile(r"/[a-z]+/[a-z]+/|Traceback|\.py|SELECT |onnxruntime_src|0x[0-9a-f]{6}")


def ask(link, path: str, body: Any = None, method: str = "POST", **headers: str):
    link.request(method, path, body, headers)
    answer = link.getresponse()
    return answer.status, answer.read(), answer.headers


def check_refused(status: int, body: bytes) -> str:
    """One shape for every error, and nothing in it that is not the caller's business."""
    assert 400 <= status < 500, body
    document = json.loads(body)
    assert list(document) == ["error"]
    text = document["error"]
    assert isinstance(text, str)
    assert text
    assert len(text) < 1000
    assert not _LEAKS.search(text.replace("../../etc/passwd", "")), text
    return text


def check_alive(link) -> None:
    status, body, _ = ask(link, INFER, GOOD)
    assert status == 200, body
    assert json.loads(body)["outputs"][1]["data"] == [10.0]


def talk(url: str, data: bytes) -> bytes:
    """Send bytes as they are; everything that comes back until the server closes."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(data)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return answer
