"""Object Storage: objects, multipart uploads, and the artifacts that move through buckets."""

from __future__ import annotations

import base64
import hashlib
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.adapters.oci_double.science import keep, place_artifact
from tests.adapters.oci_double.shapes import check_shape
from tests.adapters.oci_double.shelf import now
from tests.adapters.oci_double.wire import RefusedError, Reply, Request, ranged

if TYPE_CHECKING:
    from tests.adapters.oci_double.double import Double
    from tests.adapters.oci_double.keys import Identity


def object_path(double: Double, space: str, bucket: str, name: str) -> Path:
    """Where an object lies: its name hashed, so that no name leaves the folder."""
    key = hashlib.sha256(f"{space}/{bucket}/{name}".encode()).hexdigest()
    folder = double.folder / "objects"
    folder.mkdir(exist_ok=True)
    return folder / key


def namespace(double: Double, request: Request, who: Identity) -> Reply:
    return Reply(200, "doublespace")


def get_object(
    double: Double, request: Request, who: Identity, space: str, bucket: str, name: str
) -> Reply:
    path = object_path(double, space, bucket, name)
    if not path.exists():
        raise RefusedError(404, "ObjectNotFound")
    headers = {"etag": str(path.stat().st_mtime_ns), "version-id": "1", "storage-tier": "Standard"}
    return ranged(request, path, headers)


def put_object(
    double: Double, request: Request, who: Identity, space: str, bucket: str, name: str
) -> Reply:
    keep(double, request).replace(object_path(double, space, bucket, name))
    return Reply(200, None, {"etag": uuid.uuid4().hex})


def delete_object(
    double: Double, request: Request, who: Identity, space: str, bucket: str, name: str
) -> Reply:
    path = object_path(double, space, bucket, name)
    if not path.exists():
        raise RefusedError(404, "ObjectNotFound")
    path.unlink()
    return Reply(204)


def start_upload(double: Double, request: Request, who: Identity, space: str, bucket: str) -> Reply:
    body = check_shape(request.json(), "CreateMultipartUploadDetails", "object_storage")
    ident = uuid.uuid4().hex
    (double.folder / "uploads" / ident).mkdir(parents=True)
    shown = {"namespace": space, "bucket": bucket, "object": body["object"], "uploadId": ident}
    return Reply(200, shown | {"timeCreated": now()})


def put_part(
    double: Double, request: Request, who: Identity, space: str, bucket: str, name: str
) -> Reply:
    temp = keep(double, request)
    data = temp.read_bytes()
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    if request.headers.get("content-md5") not in (None, md5):
        raise RefusedError(400, "UnmatchedContentMD5")
    temp.replace(_upload(double, request) / request.query["uploadPartNum"])
    return Reply(200, None, {"etag": hashlib.sha256(data).hexdigest(), "opc-content-md5": md5})


def finish_upload(
    double: Double, request: Request, who: Identity, space: str, bucket: str, name: str
) -> Reply:
    """The object appears complete, or not at all."""
    body = check_shape(request.json(), "CommitMultipartUploadDetails", "object_storage")
    folder = _upload(double, request)
    temp = folder / "whole"
    with temp.open("wb") as sink:
        for part in body["partsToCommit"]:
            path = folder / str(part["partNum"])
            if hashlib.sha256(path.read_bytes()).hexdigest() != part["etag"]:
                raise RefusedError(400, "InvalidUploadPart")
            with path.open("rb") as source:
                shutil.copyfileobj(source, sink)
    temp.replace(object_path(double, space, bucket, name))
    shutil.rmtree(folder)
    return Reply(200, None, {"etag": uuid.uuid4().hex})


def abort_upload(
    double: Double, request: Request, who: Identity, space: str, bucket: str, name: str
) -> Reply:
    shutil.rmtree(_upload(double, request))
    return Reply(204)


def export_artifact(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    """From a bucket into the catalog."""
    body = check_shape(request.json(), "ExportModelArtifactDetails")["artifactExportDetails"]
    double.models.match(ident, request.headers)
    source = object_path(double, body["namespace"], body["sourceBucket"], body["sourceObjectName"])
    if not source.exists():
        raise RefusedError(404, "NotAuthorizedOrNotFound", "no such object")
    temp = double.folder / f"{uuid.uuid4().hex}.part"
    shutil.copyfile(source, temp)
    place_artifact(double, ident, temp)
    return _accepted(double, "EXPORT_MODEL_ARTIFACT", ident)


def import_artifact(double: Double, request: Request, who: Identity, ident: str) -> Reply:
    """From the catalog into a bucket."""
    body = check_shape(request.json(), "ImportModelArtifactDetails")["artifactImportDetails"]
    if not double.artifact(ident).exists():
        raise RefusedError(404, "NotAuthorizedOrNotFound", "no artifact")
    target = object_path(
        double, body["namespace"], body["destinationBucket"], body["destinationObjectName"]
    )
    shutil.copyfile(double.artifact(ident), target)
    return _accepted(double, "IMPORT_MODEL_ARTIFACT", ident)


def _accepted(double: Double, operation: str, ident: str) -> Reply:
    with double.lock:
        row = double.work.add(
            {
                "operationType": operation, "_status": "SUCCEEDED", "timeAccepted": now(),
                "compartmentId": double.models.get(ident)["compartmentId"], "resources": [],
            }
        )  # fmt: skip
    return Reply(202, None, {"opc-work-request-id": row["id"]})


def _upload(double: Double, request: Request) -> Path:
    folder = double.folder / "uploads" / request.query["uploadId"]
    if not folder.is_dir() or "/" in request.query["uploadId"]:
        raise RefusedError(404, "NoSuchUpload")
    return folder


_O = "/n/([^/]+)/b/([^/]+)"
ROUTES: list[Any] = [
    ("GET", "/n/?", False, namespace),
    ("GET", f"{_O}/o/(.+)", False, get_object),
    ("HEAD", f"{_O}/o/(.+)", False, get_object),
    ("PUT", f"{_O}/o/(.+)", False, put_object),
    ("DELETE", f"{_O}/o/(.+)", False, delete_object),
    ("POST", f"{_O}/u", True, start_upload),
    ("PUT", f"{_O}/u/(.+)", False, put_part),
    ("POST", f"{_O}/u/(.+)", True, finish_upload),
    ("DELETE", f"{_O}/u/(.+)", False, abort_upload),
    ("POST", "/20190101/models/([^/]+)/actions/exportArtifact", True, export_artifact),
    ("POST", "/20190101/models/([^/]+)/actions/importArtifact", True, import_artifact),
]
