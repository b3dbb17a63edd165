"""Verify versions where they lie: read every file of a store again and compare its SHA-256."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from catalog.errors import BadFile, BadSignature, DigestMismatch, NotFound, StoreError
from catalog.manifest import MANIFEST_FILE, Entry, Manifest, copy_verified
from catalog.pull import read_manifest
from catalog.signed import SIGNATURE_FILE
from catalog.stores import Committed, Store
from catalog.streams import CHUNK, Hasher

Tell = Callable[[int, int], None]
Signature = Literal["absent", "unchecked", "valid", "wrong"]


@dataclass(frozen=True)
class Problem:
    """A file that is not what its version says, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Verified:
    """What was found of one version. `manifest` is None if the store's own is damaged."""

    version: Committed
    manifest: Manifest | None
    problems: tuple[Problem, ...]
    signature: Signature

    @property
    def sound(self) -> bool:
        """Whether every byte is what was published, and no signature is wrong."""
        return not self.problems and self.signature != "wrong"


def verify_version(
    store: Store, version: Committed, tell: Tell, public_key: Path | None = None
) -> Verified:
    """Read every file of a version in its store; no file is kept, none is held in memory.

    Parameters
    ----------
    tell : called with (bytes read, bytes of the version)
    public_key : checks the signature of a signed version; without it a signature is `unchecked`

    Raises
    ------
    StoreError, NotAuthorised
        The store does not answer at all; what is damaged or absent is reported instead.
    """
    try:
        manifest = read_manifest(store, version)
    except (BadFile, DigestMismatch, NotFound) as exc:
        problem = Problem(MANIFEST_FILE, "absent" if isinstance(exc, NotFound) else exc.message)
        return Verified(version, None, (problem,), "absent")
    problems, done = [], 0
    for entry in manifest.entries:
        reason = check_entry(store, version, entry)
        if reason:
            problems.append(Problem(entry.path, reason))
        done += entry.size
        tell(done, manifest.size)
    signature = _signature(store, version, manifest, public_key)
    return Verified(version, manifest, tuple(problems), signature)


def check_entry(store: Store, version: Committed, entry: Entry) -> str:
    """Why a file of a store is not what the manifest promises; "" if it is.

    A file that the store cannot read does not keep the others from being checked.
    """
    try:
        with store.open_file(version, entry) as source:
            return _differs(source, entry)
    except NotFound:
        return "absent"
    except DigestMismatch:  # a store that keeps checksums of its own notices first
        return "differs"
    except (BadFile, StoreError, OSError) as exc:
        return f"cannot be read: {getattr(exc, 'message', exc)}"


def _differs(source: BinaryIO, entry: Entry) -> str:
    size = 0
    with Hasher() as hasher:
        while chunk := source.read(min(CHUNK, entry.size - size + 1)):
            hasher.update(chunk)
            size += len(chunk)
            if size > entry.size:
                return f"longer than its {entry.size:,} bytes"
        found = hasher.digest()
    if size < entry.size:
        return f"{size:,} of {entry.size:,} bytes"
    return "" if found == entry.digest else "differs"


def _signature(
    store: Store, version: Committed, manifest: Manifest, public_key: Path | None
) -> Signature:
    from catalog.signing import check_signature

    entry = next((it for it in manifest.entries if it.path == SIGNATURE_FILE), None)
    if entry is None:
        return "absent"
    if public_key is None:
        return "unchecked"
    buffer = io.BytesIO()
    try:
        with store.open_file(version, entry) as source:
            copy_verified(source, buffer, entry)
        check_signature(buffer.getvalue(), manifest, public_key)
    except BadSignature:
        return "wrong"
    except (BadFile, DigestMismatch, NotFound, StoreError):
        return "unchecked"  # its bytes are reported as damaged
    return "valid"
