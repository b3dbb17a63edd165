"""The ledger of one model: the freeform tags of its model version set.

`catalog_last` is the newest version as "number digest model". Writing it, only if nobody else
wrote since it was read (if-match), is the commit: numbers are dense and no two publishers get the
same. The model's own tags follow; whoever commits next finishes for one who died in between.
Aliases are kept here too, so that moving one is a single write.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catalog.errors import StoreError
from catalog_oci._client import Clients
from catalog_oci._edge import ChangedError, Edge, TakenError
from catalog_oci._place import Place
from catalog_oci._rows import pages

_LAST, _ALIASES = "catalog_last", "catalog_aliases_"
_RECORD = re.compile(r"^([1-9][0-9]{0,8}) (sha256:[0-9a-f]{64}) (ocid1\.\S+)$")
_ALIAS = re.compile(r"^([^=;]+)=([1-9][0-9]{0,8})$")
_VALUE, _CHUNKS = 256, 5  # characters of a tag; tags that aliases may take of the ten there are
_ATTEMPTS = 30


@dataclass(frozen=True)
class Last:
    """The newest version that was ever committed; number 0 if none was."""

    number: int = 0
    digest: str = ""
    model_id: str = ""


@dataclass(frozen=True)
class Ledger:
    """A version set's tags as they were read; `etag` is the state they were read in."""

    set_id: str
    etag: str
    tags: dict[str, str]

    @property
    def last(self) -> Last:
        """What the ledger says was committed last."""
        found = _RECORD.fullmatch(self.tags.get(_LAST, ""))
        return Last(int(found[1]), found[2], found[3]) if found else Last()

    @property
    def aliases(self) -> dict[str, int]:
        """Version numbers by alias."""
        return read_aliases(self.tags)


def read_aliases(tags: dict[str, str]) -> dict[str, int]:
    """The aliases in a version set's tags; what is no alias is left out."""
    text = "".join(tags.get(f"{_ALIASES}{number}", "") for number in range(_CHUNKS))
    found = (_ALIAS.fullmatch(part) for part in text.split(";"))
    return {it[1]: int(it[2]) for it in found if it}


def with_last(last: Last) -> dict[str, str]:
    """The tag that commits a version."""
    return {_LAST: f"{last.number} {last.digest} {last.model_id}"}


def with_aliases(aliases: dict[str, int]) -> dict[str, str]:
    """The tags that hold these aliases; "" where a tag is to go.

    Raises
    ------
    StoreError
        There is no room for so many.
    """
    text = ";".join(f"{alias}={number}" for alias, number in sorted(aliases.items()))
    chunks = [text[at : at + _VALUE] for at in range(0, len(text), _VALUE)]
    if len(chunks) > _CHUNKS:
        raise StoreError(
            f"OCI has room for {_VALUE * _CHUNKS} characters of aliases of one model",
            "remove some: catalog alias NAME",
        )
    chunks += [""] * (_CHUNKS - len(chunks))
    return {f"{_ALIASES}{number}": chunk for number, chunk in enumerate(chunks)}


class Ledgers:
    """Reads and swaps ledgers of one project."""

    def __init__(self, place: Place, clients: Clients, edge: Edge) -> None:
        self._place = place
        self._clients = clients
        self._edge = edge

    def sets(self, name: str | None = None) -> list[Any]:
        """The version sets there are; of several with one name only the oldest."""
        wanted = {"name": name} if name is not None else {}
        found = pages(
            self._edge, self._clients.science.list_model_version_sets, self._place.compartment,
            project_id=self._place.project, lifecycle_state="ACTIVE", **wanted,
        )  # fmt: skip
        oldest: dict[str, Any] = {}
        for row in sorted(found, key=lambda it: (it.time_created, it.id)):
            oldest.setdefault(str(row.name), row)
        return [oldest[key] for key in sorted(oldest)]

    def find(self, name: str) -> Ledger | None:
        """The ledger as it is now, if there is one."""
        found = self.sets(name)
        return self._get(found[0].id) if found else None

    def open(self, name: str) -> Ledger:
        """The ledger as it is now; made, if there is none."""
        found = self.sets(name)
        if not found:
            self._create(name)
            found = self.sets(name)
        if not found:
            raise StoreError(
                f"a model version set named {name!r} exists elsewhere in the compartment",
                "name the model differently, or delete that set",
            )
        return self._get(found[0].id)

    def _get(self, set_id: str) -> Ledger:
        answer = self._edge.call(self._clients.science.get_model_version_set, set_id)
        etag = answer.headers.get("etag")
        if not etag:
            raise StoreError("the service gives no etag: two publishers could not be told apart")
        return Ledger(str(answer.data.id), str(etag), dict(answer.data.freeform_tags or {}))

    def swap(self, ledger: Ledger, changes: dict[str, str]) -> None:
        """Write tags, if the ledger is still what was read.

        Raises
        ------
        ChangedError
        """
        from oci.data_science.models import UpdateModelVersionSetDetails

        tags = {key: value for key, value in (ledger.tags | changes).items() if value}
        self._edge.call(
            self._clients.science.update_model_version_set,
            ledger.set_id,
            UpdateModelVersionSetDetails(freeform_tags=tags),
            if_match=ledger.etag,
        )

    def change_aliases(self, name: str, change: Callable[[dict[str, int]], dict[str, int]]) -> None:
        """Change a model's aliases in one step, whoever else is at it."""
        for attempt in range(_ATTEMPTS):
            ledger = self.open(name)
            aliases = change(ledger.aliases)
            if aliases == ledger.aliases:
                return
            try:
                self.swap(ledger, with_aliases(aliases))
            except ChangedError:
                pause(attempt)
            else:
                return
        raise StoreError(f"{name}: others change its aliases all the time", "try again")

    def _create(self, name: str) -> None:
        """Make a version set; should two be made at once, everybody takes the older one."""
        from oci.data_science.models import CreateModelVersionSetDetails

        details = CreateModelVersionSetDetails(
            compartment_id=self._place.compartment,
            project_id=self._place.project,
            name=name,
            description="Versions of one model, kept by hep-model-catalog.",
        )
        try:
            self._edge.call(
                self._clients.science.create_model_version_set,
                details,
                opc_retry_token=uuid.uuid4().hex,
            )
        except TakenError:
            return


def pause(attempt: int) -> None:
    """Let the others go first for a moment."""
    time.sleep(random.random() * 0.05 * 1.3 ** min(attempt, 12))  # noqa: S311
