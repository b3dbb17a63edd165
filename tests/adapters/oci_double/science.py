"""Data Science: models with their artifacts and provenance, version sets, work requests."""

from __future__ import annotations

import base64
import hashlib
import uuid
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.adapters.oci_double.shapes import check_limits, check_shape
from tests.adapters.oci_double.shelf import Shelf, now
from tests.adapters.oci_double.wire import RefusedError, Reply, Request, ranged

if TYPE_CHECKING:
    from tests.adapters.oci_double.double import Double
    from tests.adapters.oci_double.keys import Identity

_FILTERS = {
    "compartmentId": "compartmentId", "projectId": "projectId", "displayName": "displayName",
    "lifecycleState": "lifecycleState", "versionLabel": "versionLabel", "id": "id",
    "modelVersionSetName": "modelVersionSetName", "createdBy": "createdBy", "name": "name",
}  # fmt: skip
_PAGING = {"limit", "page", "sortBy", "sortOrder", "category"}


def create_model(double: Double, request: Request, who: Identity) -> Reply:
    body = check_shape(request.json(), "CreateModelDetails")
    check_limits(body)
    _require(body, "compartmentId", "projectId")
    with double.lock:
        known = double.tokens.get(_token(request, who))
        if known:
            return _resource(double.models.get(known))
        row = {"createdBy": who.user, "category": "USER", "isModelByReference": False} | body
        row |= _place_in_set(double, body.get("modelVersionSetId"), body.get("versionLabel"), "")
        row.setdefault("displayName", f"datasciencemodel{now()}")
        row = double.models.add(row)
        double.tokens[_token(request, who)] = row["id"]
        return _resource(row)


def list_models(double: Double, request: Request, who: Identity) -> Reply:
    return _list(double, double.models, request, "ModelSummary")


def get_model(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    return _resource(double.models.get(ident))


def update_model(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    body = check_shape(request.json(), "UpdateModelDetails")
    check_limits(body)
    with double.lock:
        row = double.models.match(ident, request.headers)
        if body.get("modelVersionSetId") and row.get("modelVersionSetId"):
            raise RefusedError(409, "Conflict", "the model is in a version set already")
        label = body.get("versionLabel")
        set_id = body.get("modelVersionSetId") or row.get("modelVersionSetId")
        placed = _place_in_set(double, set_id, label, ident) if label or set_id else {}
        if row.get("versionId"):
            placed.pop("versionId", None)
        check_limits(row | body)
        return _resource(double.models.put(row | body | placed))


def delete_model(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    with double.lock:
        row = double.models.match(ident, request.headers)
        double.models.put(row | {"lifecycleState": "DELETED"})
        double.artifact(ident).unlink(missing_ok=True)
    return Reply(204)


def get_provenance(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    found = double.models.get(ident).get("_provenance")
    if found is None:
        raise RefusedError(404, "NotAuthorizedOrNotFound", "no provenance")
    return Reply(200, found)


def set_provenance(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    kind = "Create" if request.method == "POST" else "Update"
    body = check_shape(request.json(), f"{kind}ModelProvenanceDetails")
    with double.lock:
        double.models.put(double.models.match(ident, request.headers) | {"_provenance": body})
    return Reply(200, body)


def create_artifact(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    """An artifact comes complete or not at all, and never changes."""
    double.models.match(ident, request.headers)
    if double.artifact(ident).exists():
        raise RefusedError(409, "Conflict", "the model has an artifact already")
    if int(request.headers.get("content-length") or 0) > double.small_limit:
        raise RefusedError(413, "RequestEntityTooLarge", "export it from a bucket")
    place_artifact(double, ident, keep(double, request))
    disposition = request.headers.get("content-disposition", "")
    with double.lock:
        row = double.models.get(ident)
        double.models.put(row | {"_filename": disposition.partition("filename=")[2].strip('"')})
    return Reply(204)


def place_artifact(double: Double, ident: str, temp: Path) -> None:
    """Let what was received become the artifact of a model, unless it has got one meanwhile."""
    with double.lock:
        target = double.artifact(ident)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            temp.unlink()
            raise RefusedError(409, "Conflict", "the model has an artifact already")
        temp.replace(target)


def keep(double: Double, request: Request) -> Path:
    """Stream a body to a file of its own; a body that breaks off leaves none."""
    temp = double.folder / f"{uuid.uuid4().hex}.part"
    try:
        with temp.open("wb") as sink:
            for chunk in request.chunks():
                sink.write(chunk)
    except ConnectionError:
        temp.unlink()
        raise
    return temp


def get_artifact(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    row, path = double.models.get(ident), double.artifact(ident)
    if not path.exists() or row["lifecycleState"] == "DELETED":
        raise RefusedError(404, "NotAuthorizedOrNotFound", "no artifact")
    size = path.stat().st_size
    if size > double.small_limit and request.method == "GET":
        raise RefusedError(400, "InvalidParameter", "too large: import it to a bucket")
    headers = {
        "content-disposition": f"attachment; filename={row.get('_filename') or ident + '.zip'}",
        "etag": row["etag"],
        "last-modified": formatdate(path.stat().st_mtime, usegmt=True),
    }
    if size < 10_000_000:
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()
        headers["content-md5"] = base64.b64encode(md5).decode()
    return ranged(request, path, headers)


def create_set(double: Double, request: Request, who: Identity) -> Reply:
    body = check_shape(request.json(), "CreateModelVersionSetDetails")
    check_limits(body)
    _require(body, "compartmentId", "projectId", "name")
    with double.lock:
        known = double.tokens.get(_token(request, who))
        if known:
            return _resource(double.sets.get(known))
        twins = [
            row for row in double.sets
            if row["lifecycleState"] == "ACTIVE" and row["name"] == body["name"]
            and row["compartmentId"] == body["compartmentId"]
        ]  # fmt: skip
        if twins and double.unique_sets:
            raise RefusedError(409, "Conflict", "a version set of that name exists")
        row = double.sets.add({"createdBy": who.user, "timeUpdated": now()} | body)
        double.tokens[_token(request, who)] = row["id"]
        return _resource(row)


def list_sets(double: Double, request: Request, who: Identity) -> Reply:
    return _list(double, double.sets, request, "ModelVersionSetSummary")


def get_set(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    return _resource(double.sets.get(ident))


def update_set(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    body = check_shape(request.json(), "UpdateModelVersionSetDetails")
    check_limits(body)
    with double.lock:
        row = double.sets.match(ident, request.headers)
        return _resource(double.sets.put(row | body | {"timeUpdated": now()}))


def delete_set(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    with double.lock:
        row = double.sets.match(ident, request.headers)
        live = [m for m in double.models if m["lifecycleState"] == "ACTIVE"]
        if any(m.get("modelVersionSetId") == ident for m in live):
            raise RefusedError(409, "IncorrectState", "the set is not empty")
        double.sets.put(row | {"lifecycleState": "DELETED"})
    return Reply(204)


def get_work(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    """Work is done when it is asked for; it says so only after some polls."""
    with double.lock:
        row = double.work.get(ident)
        polls = row.get("_polls", 0) + 1
        double.work.put(row | {"_polls": polls})
    done = polls > double.polls
    status = (row["_status"] if done else "IN_PROGRESS", 100.0 if done else 50.0)
    shown = {key: value for key, value in row.items() if not key.startswith("_")}
    return Reply(200, shown | {"status": status[0], "percentComplete": status[1]})


def _resource(row: dict[str, Any]) -> Reply:
    shown = {k: v for k, v in row.items() if not k.startswith("_") and k != "etag"}
    return Reply(200, shown, {"etag": row["etag"]})


def _list(double: Double, shelf: Shelf, request: Request, model: str) -> Reply:
    import oci

    unknown = set(request.query) - set(_FILTERS) - _PAGING
    if unknown or "compartmentId" not in request.query:
        raise RefusedError(400, "InvalidParameter", f"{sorted(unknown)}")
    asked = {_FILTERS[k]: v for k, v in request.query.items() if k in _FILTERS}
    shown = set(getattr(oci.data_science.models, model)().attribute_map.values())
    with double.lock:
        rows = [
            {k: v for k, v in row.items() if k in shown}
            for row in shelf
            if all(row.get(key) == value for key, value in asked.items())
        ]
    if request.query.get("sortOrder", "DESC") == "DESC":
        rows.reverse()
    return request.page(rows)


def _place_in_set(
    double: Double, set_id: str | None, label: str | None, model_id: str
) -> dict[str, Any]:
    if not set_id:
        if label:
            raise RefusedError(400, "InvalidParameter", "versionLabel without a version set")
        return {}
    owner = double.sets.get(set_id)
    if owner["lifecycleState"] != "ACTIVE":
        raise RefusedError(404, "NotAuthorizedOrNotFound", "the version set is deleted")
    members = [m for m in double.models if m.get("modelVersionSetId") == set_id]
    taken = [m for m in members if m["id"] != model_id and m["lifecycleState"] == "ACTIVE"]
    if label and any(m.get("versionLabel") == label for m in taken):
        raise RefusedError(409, "Conflict", f"versionLabel {label} is taken")
    number = max((m.get("versionId", 0) for m in members), default=0) + 1
    return {
        "modelVersionSetId": set_id, "modelVersionSetName": owner["name"], "versionId": number,
    }  # fmt: skip


def _require(body: dict[str, Any], *names: str) -> None:
    absent = [name for name in names if not body.get(name)]
    if absent:
        raise RefusedError(400, "MissingParameter", ", ".join(absent))


def _token(request: Request, who: Identity) -> str:
    """A create without a retry token is never the same as another."""
    return f"{who.user} {request.path} {request.headers.get('opc-retry-token') or uuid.uuid4()}"


_P = "/20190101"
ROUTES: list[Any] = [
    ("POST", f"{_P}/models", True, create_model),
    ("GET", f"{_P}/models", False, list_models),
    ("GET", f"{_P}/models/([^/]+)", False, get_model),
    ("PUT", f"{_P}/models/([^/]+)", True, update_model),
    ("DELETE", f"{_P}/models/([^/]+)", False, delete_model),
    ("GET", f"{_P}/models/([^/]+)/provenance", False, get_provenance),
    ("POST", f"{_P}/models/([^/]+)/provenance", True, set_provenance),
    ("PUT", f"{_P}/models/([^/]+)/provenance", True, set_provenance),
    ("POST", f"{_P}/models/([^/]+)/artifact", False, create_artifact),
    ("GET", f"{_P}/models/([^/]+)/artifact/content", False, get_artifact),
    ("HEAD", f"{_P}/models/([^/]+)/artifact/content", False, get_artifact),
    ("POST", f"{_P}/modelVersionSets", True, create_set),
    ("GET", f"{_P}/modelVersionSets", False, list_sets),
    ("GET", f"{_P}/modelVersionSets/([^/]+)", False, get_set),
    ("PUT", f"{_P}/modelVersionSets/([^/]+)", True, update_set),
    ("DELETE", f"{_P}/modelVersionSets/([^/]+)", False, delete_set),
    ("GET", f"{_P}/workRequests/([^/]+)", False, get_work),
]
