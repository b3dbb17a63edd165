"""What the service lists: models, as versions with numbers.

Freeform tags say what a model of ours is, because a listing shows them and not the metadata:
`catalog_staged` alone is a publish that has not ended, which no reader sees; `catalog_digest` and
`catalog_version`, set in one update, are a version.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from catalog.manifest import is_digest
from catalog.stores.protocol import Committed
from catalog_oci._client import Clients
from catalog_oci._edge import Edge
from catalog_oci._place import Place

STAGED, DIGEST, VERSION, ADOPTED = (
    "catalog_staged", "catalog_digest", "catalog_version", "catalog_adopted",
)  # fmt: skip
_PAGE = 100
_NUMBER = re.compile(r"^[1-9][0-9]{0,8}$")


@dataclass(frozen=True)
class Row:
    """One model. `staged` is the digest it is meant for, until it is committed; `number` 0 then."""

    name: str
    number: int
    digest: str
    model_id: str
    staged: str
    adopted: bool
    gone: bool
    created: datetime
    owner: str

    @property
    def version(self) -> Committed:
        """What readers call it."""
        return Committed(self.name, self.number, self.digest)

    @property
    def visible(self) -> bool:
        """Whether a reader may see it."""
        return not self.gone and not self.staged


def list_rows(clients: Clients, edge: Edge, place: Place, name: str | None = None) -> list[Row]:
    """Every model of the project, or of one name, by name and number; also what no reader sees.

    Deleted ones are among them for as long as the service lists them: they keep their numbers.
    """
    filters: list[dict[str, str]] = [{}]
    if name is not None:
        filters = [{"model_version_set_name": name}, {"display_name": name}]
    models: dict[str, Any] = {}
    for wanted in filters:
        for model in pages(
            edge, clients.science.list_models, place.compartment,
            project_id=place.project, sort_by="timeCreated", sort_order="ASC", **wanted,
        ):  # fmt: skip
            models[str(model.id)] = model
    rows = [row for row in map(_row, models.values()) if name in (None, row.name)]
    return sorted(_numbered(rows), key=lambda row: (row.name, row.number, row.created))


def pages(edge: Edge, function: Any, *args: Any, **kwargs: Any) -> Iterable[Any]:
    """All items of a list call."""
    page = ""
    while True:
        more: dict[str, str] = {"page": page} if page else {}
        answer = edge.call(function, *args, limit=_PAGE, **kwargs, **more)
        yield from answer.data
        page = str(answer.headers.get("opc-next-page") or "")
        if not page:
            return


def _row(model: Any) -> Row:
    tags = dict(model.freeform_tags or {})
    digest, number = str(tags.get(DIGEST, "")), str(tags.get(VERSION, ""))
    ours = bool(is_digest(digest) and _NUMBER.fullmatch(number))
    return Row(
        name=str(model.model_version_set_name or model.display_name or model.id),
        number=int(number) if ours else 0,
        digest=digest if ours else "",
        model_id=str(model.id),
        staged="" if ours else str(tags.get(STAGED, "")),
        adopted=ours and ADOPTED in tags,
        gone=model.lifecycle_state not in ("ACTIVE", "INACTIVE"),
        created=model.time_created,
        owner=str(model.created_by or ""),
    )


def _numbered(rows: list[Row]) -> list[Row]:
    """Give a number to what others put there: in the order of creation, past those taken.

    A number stays what it is as long as the service lists what was deleted; adopting fixes it.
    """
    taken: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        taken[row.name].add(row.number)
    found = []
    for row in sorted(rows, key=lambda it: (it.created, it.model_id)):
        if not row.number and not row.staged:
            numbers = taken[row.name]
            row = replace(
                row, number=next(n for n in range(1, len(numbers) + 2) if n not in numbers)
            )
            numbers.add(row.number)
        found.append(row)
    return found
