"""The commit of an upload: the gate of `catalog publish`, on the server's own copy."""

from __future__ import annotations

import logging
import tempfile
import threading
from pathlib import Path
from typing import Any

from catalog.card import read_card
from catalog.errors import BadSignature, CatalogError, CheckFailed, DigestMismatch
from catalog.gate import Checked
from catalog.manifest import build_manifest, copy_verified
from catalog.publish import publish
from catalog.testvectors import INPUTS_FILE, OUTPUTS_FILE
from registry_server.api.errors import Conflict
from registry_server.api.gate import check_apart
from registry_server.api.registry import Registry
from registry_server.api.uploads import Upload, Uploads
from registry_server.auth.caller import Caller
from registry_server.errors import Busy

_GATES = threading.BoundedSemaphore(2)  # each runs a model
_PATIENCE = 120.0  # seconds
_log = logging.getLogger(__name__)


def commit(registry: Registry, uploads: Uploads, upload: Upload, caller: Caller) -> dict[str, Any]:
    """Publish what was uploaded; the JSON of `catalog publish`.

    Killed anywhere, the version is visible or not, and asking again gives the same answer.

    Raises
    ------
    Conflict, CheckFailed, Forbidden, Busy
    """
    if not _GATES.acquire(timeout=_PATIENCE):
        raise Busy("other versions are being checked", "commit again")
    try:
        # One version of a model at a time, whichever server was asked; who asks again meanwhile
        # waits for the same answer. A lost lock costs time only: the store commits in one step.
        what = f"commit {registry.settings.store} {upload.model}"
        with registry.database.lock(what, _PATIENCE):
            upload = uploads.get(caller, upload.id)
            return upload.published or _commit(registry, uploads, upload, caller)
    finally:
        _GATES.release()


def _commit(registry: Registry, uploads: Uploads, upload: Upload, caller: Caller) -> dict[str, Any]:
    try:
        uploads.touch(upload)
        with tempfile.TemporaryDirectory(dir=uploads.root / upload.id, prefix="version-") as temp:
            folder = Path(temp)
            _gather(uploads, upload, folder)
            try:
                value = _publish(registry, upload, folder, caller)
            except BadSignature as exc:  # its words may hold the path of a key
                rule = f"{registry.settings.store} is for versions signed with its key only"
                raise CheckFailed(upload.model, [rule], "catalog sign it, and begin anew") from exc
            except CheckFailed as exc:
                if not folder.is_dir():  # not changed by its author: the upload was left
                    raise FileNotFoundError(folder) from exc
                problems = [it.replace(f"{folder}/", "").replace(temp, "") for it in exc.problems]
                raise CheckFailed(upload.model, problems, "mend these and begin anew") from exc
    except FileNotFoundError as exc:  # another server committed it, or somebody left it
        raise Conflict("the upload has just ended", "ask what became of it: GET it") from exc
    finally:
        uploads.tidy(upload)
    uploads.done(upload, value)
    return value


def exists(registry: Registry, store: str, name: str) -> bool:
    """Whether a store has a version of this name, whoever put it there."""
    return next(iter(registry.open_store(store).versions(name)), None) is not None


def _gather(uploads: Uploads, upload: Upload, folder: Path) -> None:
    """Copy the files to their names, hashing them once more on the way."""
    entries = upload.manifest.entries
    absent = [it for it in entries if not uploads.here(upload, it)[1]]
    if absent:
        raise Conflict(
            f"{len(absent)} files are not complete, {absent[0].path} first",
            "GET the upload tells where to go on",
        )
    for entry in entries:
        target, blob = folder / entry.path, uploads.blob(upload, entry)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with blob.open("rb") as source, target.open("wb") as sink:
                copy_verified(source, sink, entry)
        except DigestMismatch as exc:
            blob.unlink(missing_ok=True)
            raise Conflict(f"{entry.path} was damaged", "send it again from offset=0") from exc


def _publish(registry: Registry, upload: Upload, folder: Path, caller: Caller) -> dict[str, Any]:
    where, name = registry.settings.store, upload.model
    try:
        said = read_card(folder).name
    except CheckFailed:
        check_apart(folder, name, upload.manifest.size, registry.bounds.gate)  # says all at once
        raise
    if said != name:
        # Who may publish was asked of the name told first.
        raise CheckFailed(name, [f"card.yaml: the name is {said!r}, the upload is of {name!r}"])
    store, owners = registry.open_store(where), registry.owners
    there = exists(registry, where, name)
    claimed = not there and owners.claim(caller, where, name)
    owners.check(caller, where, name, exists=there)
    try:
        with registry.index() as index:
            done = publish(
                folder, store, where, index, _log.info,
                lambda folder, _: _checked(folder, upload, registry.bounds.gate),
            )  # fmt: skip
    except CatalogError:
        if claimed and not exists(registry, where, name):
            owners.release(caller, where, name)
        raise
    version = done.version
    return {
        "ref": f"{version.name}@{version.version}", "name": version.name,
        "version": version.version, "digest": version.digest, "store": where, "new": done.new,
    }  # fmt: skip


def _checked(folder: Path, upload: Upload, seconds: float) -> Checked:
    """The folder behind the gate: what was uploaded, with test vectors added and nothing else.

    The process that checked it ran a stranger's model: what it says of the files is not believed.
    """
    check_apart(folder, upload.model, upload.manifest.size, seconds)
    card, manifest = read_card(folder), build_manifest(folder)
    sent, found = set(upload.manifest.entries), set(manifest.entries)
    if not sent <= found or {it.path for it in found - sent} - {INPUTS_FILE, OUTPUTS_FILE}:
        raise CheckFailed(upload.model, ["its files changed while they were checked"])
    return Checked(folder, card, manifest)
