"""Errors of /api, in the one shape that all of them have.

    {"error": {"code": "not_found", "message": "...", "hint": "...", "request_id": "..."}}

`message` says what was wrong, `hint` what to do next ("" if there is nothing). What may hold a path
or an address of this machine is for the log; the answer then has only the request id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Scope

from registry_server.refusal import refusal

CODES = {
    400: "bad_request", 401: "unauthenticated", 403: "forbidden", 404: "not_found",
    405: "method_not_allowed", 408: "too_slow", 409: "conflict", 413: "too_large",
    415: "unsupported", 416: "range_not_satisfiable", 422: "refused", 429: "too_many_requests",
    500: "internal_error", 502: "store_failed", 503: "busy",
}  # fmt: skip
# After these a body may still be on its way, so the connection cannot be used again.
_CLOSING = {401, 403, 408, 413, 429, 503}


def problem(
    scope: Scope,
    status: int,
    message: str,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error of /api as an answer."""
    error = {
        "code": CODES.get(status, "error"),
        "message": message,
        "hint": hint,
        "request_id": scope.get("state", {}).get("request_id", ""),
    }
    all_headers = dict(headers or {})
    if status in _CLOSING and scope["method"] not in ("GET", "HEAD"):
        all_headers["connection"] = "close"
    if status == 401:
        all_headers["www-authenticate"] = "Bearer"
    if status == 503:
        all_headers.setdefault("retry-after", "1")
    # ASCII, so that no text a client sent can fail to encode.
    body = json.dumps({"error": error}).encode("ascii")
    return Response(body, status, all_headers, media_type="application/json")


def is_api(path: str) -> bool:
    """Whether a path is of /api, with its error shape, or of the Open Inference Protocol."""
    return path == "/api" or path.startswith("/api/")


def is_page(path: str) -> bool:
    """Whether a path is of the web pages: all but /api, inference and its metrics."""
    return not (is_api(path) or path in ("/v2", "/metrics") or path.startswith("/v2/"))


def refuse(
    scope: Scope,
    status: int,
    message: str,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in the shape of the part of the server that was asked."""
    if is_api(scope["path"]):
        return problem(scope, status, message, hint, headers)
    if is_page(scope["path"]) and _reads_html(scope):
        from registry_server.web.render import error_page

        return error_page(scope, status, message, hint, headers)
    answer = refusal(status, message, hint)
    answer.headers.update(headers or {})
    if status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    return answer


def _reads_html(scope: Scope) -> bool:
    return any(key == b"accept" and b"text/html" in value for key, value in scope["headers"])
