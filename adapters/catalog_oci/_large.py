"""Artifacts above 2 GB: through a bucket of Object Storage, as `oracle-ads` moves them.

The object stays in the bucket: the service hands out no large artifact in ranges, so that the
version is read from there. Deleting the version deletes it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from catalog.errors import NotFound, StoreError
from catalog_oci._artifact import Fetch, ranged
from catalog_oci._client import Clients
from catalog_oci._edge import BrokenOffError, Edge
from catalog_oci._place import Place
from catalog_oci._zip import Body, Member, zip_length

LIMIT = 2_147_483_648  # bytes of an artifact that one request may carry (oracle-ads 2.16)
_PART = 16 << 20  # three are in memory at once; 10,000 of them, the most there can be, 160 GB
_WORK_SECONDS = 3600
_PREFIX = "hep-model-catalog"


class Bucket:
    """Where large artifacts of one store lie."""

    def __init__(self, place: Place, clients: Clients, edge: Edge) -> None:
        if not place.bucket:
            raise StoreError(
                "an artifact above 2 GB goes through a bucket, and the store's URI names none",
                "add &bucket=NAME@NAMESPACE to the URI",
            )
        self._place = place
        self._clients = clients
        self._edge = edge

    def put(self, name: str, digest: str, members: list[Member]) -> None:
        """Upload in parts, unless it is there: an object appears complete or not at all."""
        if self.size(name, digest) == zip_length(members):
            return
        from oci.object_storage import UploadManager

        manager = UploadManager(self._clients.buckets, parallel_process_count=2)
        self._edge.call(
            manager.upload_stream, *self._where(name, digest), Body(members), part_size=_PART
        )
        if self.size(name, digest) != zip_length(members):
            raise StoreError("the object that arrived in the bucket is not the one sent")

    def size(self, name: str, digest: str) -> int:
        """Bytes of the object; -1 if there is none."""
        try:
            answer = self._edge.call(self._clients.buckets.head_object, *self._where(name, digest))
        except NotFound:
            return -1
        return int(answer.headers.get("content-length") or 0)

    def fetch(self, name: str, digest: str) -> Fetch:
        """How to get a range of it."""

        def part(start: int, stop: int) -> Any:
            span = f"bytes={start}-{stop - 1}"
            where = self._where(name, digest)
            return ranged(self._edge.call(self._clients.buckets.get_object, *where, range=span))

        return part

    def to_catalog(self, model_id: str, name: str, digest: str) -> None:
        """Let the service copy the object into the model catalog, and wait."""
        from oci.data_science import models

        namespace, bucket, key = self._where(name, digest)
        details = models.ExportModelArtifactDetails(
            artifact_export_details=models.ArtifactExportDetailsObjectStorage(
                namespace=namespace, source_bucket=bucket, source_object_name=key,
                source_region=self._region(),
            )
        )  # fmt: skip
        self._work(self._clients.science.export_model_artifact, model_id, details)

    def from_catalog(self, model_id: str, name: str, digest: str) -> None:
        """Let the service copy the artifact into the bucket, and wait."""
        from oci.data_science import models

        namespace, bucket, key = self._where(name, digest)
        details = models.ImportModelArtifactDetails(
            artifact_import_details=models.ArtifactImportDetailsObjectStorage(
                namespace=namespace, destination_bucket=bucket, destination_object_name=key,
                destination_region=self._region(),
            )
        )  # fmt: skip
        self._work(self._clients.science.import_model_artifact, model_id, details)

    def remove(self, name: str, digest: str) -> None:
        """Delete the object, if there is one."""
        with suppress(NotFound):
            self._edge.call(self._clients.buckets.delete_object, *self._where(name, digest))

    def _where(self, name: str, digest: str) -> tuple[str, str, str]:
        key = f"{_PREFIX}/{name}/{digest.removeprefix('sha256:')}.zip"
        return self._place.namespace, self._place.bucket, key

    def _region(self) -> str:
        return str(self._clients.buckets.base_client.config.get("region", ""))

    def _work(self, function: Any, model_id: str, details: Any) -> None:
        """Start work of the service's and wait for its end."""
        answer = self._edge.call(function, model_id, details)
        ident = answer.headers["opc-work-request-id"]
        until, pause = time.monotonic() + _WORK_SECONDS, 0.2
        while time.monotonic() < until:
            work = self._edge.call(self._clients.science.get_work_request, ident).data
            if work.status == "SUCCEEDED":
                return
            if work.status in ("FAILED", "CANCELED"):
                raise StoreError(
                    f"the service could not move the artifact: work request {ident} {work.status}",
                    f"oci data-science work-request-error list --work-request-id {ident}",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 10)
        raise BrokenOffError(f"work request {ident} did not end within an hour", "publish again")
