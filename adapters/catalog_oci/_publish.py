"""Publishing: a model with its artifact that no reader sees, then one write to the ledger."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from catalog.errors import CatalogError, NotFound, StoreError
from catalog.stores.protocol import Committed
from catalog_oci import _artifact, _large
from catalog_oci._client import Clients
from catalog_oci._edge import ChangedError, Edge, TakenError
from catalog_oci._ledger import Last, Ledgers, pause, with_last
from catalog_oci._metadata import describe, item, with_items
from catalog_oci._place import Place
from catalog_oci._rows import DIGEST, STAGED, VERSION, Row, list_rows
from catalog_oci._zip import Member, zip_length

_ATTEMPTS = 60
_ORPHAN = timedelta(hours=1)
_SUMMARY = 400  # characters; what the service takes is not documented


@dataclass(frozen=True)
class Draft:
    """A version about to be published."""

    name: str
    digest: str
    members: list[Member]
    summary: str
    tags: Mapping[str, str]


class Publisher:
    """Stages and commits versions in one project."""

    def __init__(self, place: Place, clients: Clients, edge: Edge) -> None:
        self._place = place
        self._clients = clients
        self._edge = edge
        self.ledgers = Ledgers(place, clients, edge)

    def publish(self, draft: Draft) -> Committed:
        """Make a version visible, or return the one that is.

        Raises
        ------
        StoreError
        """
        staged = ""
        for attempt in range(_ATTEMPTS):
            ledger = self.ledgers.open(draft.name)
            # Listed after the ledger was read: what is not in one is in the other.
            last, alive = ledger.last, self._follow(ledger.last)
            rows = list_rows(self._clients, self._edge, self._place, draft.name)
            found = _committed(draft.digest, rows, last if alive else Last())
            if found:
                if staged not in ("", found.model_id):
                    self.discard(staged)
                return Committed(draft.name, found.number, found.digest)
            staged = staged or self._stage(draft, rows, ledger.set_id)
            number = max([last.number, *(row.number for row in rows)]) + 1
            try:
                self.ledgers.swap(ledger, with_last(Last(number, draft.digest, staged)))
            except ChangedError:
                pause(attempt)  # somebody was faster, or our answer was lost: look again
                continue
            model = self._follow(Last(number, draft.digest, staged))
            if model is None:
                raise StoreError(f"{draft.name}: somebody deleted it meanwhile", "publish again")
            self._sweep(rows, model)
            return Committed(draft.name, number, draft.digest)
        raise StoreError(f"{draft.name}: others publish versions all the time", "publish again")

    def discard(self, model_id: str) -> None:
        """Delete a model, unless it has become a version since it was looked at."""
        with suppress(CatalogError):
            answer = self._edge.call(self._clients.science.get_model, model_id)
            if DIGEST not in dict(answer.data.freeform_tags or {}):
                etag = answer.headers.get("etag")
                self._edge.call(self._clients.science.delete_model, model_id, if_match=etag)

    def _stage(self, draft: Draft, rows: list[Row], set_id: str) -> str:
        """A model with the whole artifact: one that a killed publish left, or a new one."""
        size = zip_length(draft.members)
        bucket = None
        if size > _large.LIMIT:
            bucket = _large.Bucket(self._place, self._clients, self._edge)
            bucket.put(draft.name, draft.digest, draft.members)
        for row in rows:
            if row.staged == draft.digest and not row.gone and self._holds(row.model_id, size):
                return row.model_id
        model_id = self._create(draft, set_id)
        if bucket:
            bucket.to_catalog(model_id, draft.name, draft.digest)
            if not self._holds(model_id, size):
                raise StoreError(f"{draft.name}: the artifact did not arrive in the catalog")
        else:
            _artifact.send(self._clients, self._edge, model_id, draft.members)
        return model_id

    def _holds(self, model_id: str, size: int) -> bool:
        with suppress(NotFound):
            return _artifact.artifact_size(self._clients, self._edge, model_id)[0] == size
        return False

    def _create(self, draft: Draft, set_id: str) -> str:
        from oci.data_science.models import CreateModelDetails

        summary = draft.summary
        details = CreateModelDetails(
            compartment_id=self._place.compartment,
            project_id=self._place.project,
            display_name=draft.name,
            description=summary if len(summary) <= _SUMMARY else f"{summary[: _SUMMARY - 3]}...",
            freeform_tags={STAGED: draft.digest},
            custom_metadata_list=describe(draft.tags, draft.digest),
            model_version_set_id=set_id,
        )
        token = uuid.uuid4().hex  # a create whose answer was lost is repeated, not doubled
        create = self._clients.science.create_model
        return str(self._edge.call(create, details, opc_retry_token=token).data.id)

    def _follow(self, last: Last) -> Any | None:
        """Let a model say what the ledger says; None if the model is gone, or there is none."""
        for attempt in range(_ATTEMPTS if last.number else 0):
            try:
                answer = self._edge.call(self._clients.science.get_model, last.model_id)
                model = answer.data
                if model.lifecycle_state != "ACTIVE":
                    return None
                if dict(model.freeform_tags or {}).get(DIGEST) != last.digest:
                    self._write(model, answer.headers.get("etag"), last)
            except ChangedError:
                pause(attempt)
            except NotFound:
                return None
            else:
                return model
        return None

    def _write(self, model: Any, etag: str, last: Last) -> None:
        from oci.data_science.models import UpdateModelDetails

        tags = {k: v for k, v in dict(model.freeform_tags or {}).items() if k != STAGED}
        number = str(last.number)
        ours = [item("digest", last.digest), item("version", number)]
        fields: dict[str, Any] = {
            "freeform_tags": tags | {DIGEST: last.digest, VERSION: number},
            "custom_metadata_list": with_items(model, ours),
        }
        update = self._clients.science.update_model
        for label in ({"version_label": number}, {}):  # a label is a courtesy; it may be taken
            details = UpdateModelDetails(**fields, **label)
            try:
                self._edge.call(update, last.model_id, details, if_match=etag)
            except TakenError:
                if not label:
                    raise
            else:
                return

    def _sweep(self, rows: list[Row], model: Any) -> None:
        """Delete what failed publishes of ours left an hour ago or longer."""
        for row in rows:
            old = model.time_created - row.created > _ORPHAN
            if row.staged and not row.gone and old and row.owner == model.created_by:
                self.discard(row.model_id)


def _committed(digest: str, rows: list[Row], last: Last) -> Last | None:
    """The version of this digest that there is."""
    if last.digest == digest:
        return last
    for row in rows:
        if row.visible and row.digest == digest:
            return Last(row.number, row.digest, row.model_id)
    return None
