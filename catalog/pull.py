"""Pull a version: resolve, fetch only what is absent, verify, materialise."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.card import Card, read_card
from catalog.errors import (
    BadFile,
    CatalogError,
    CheckFailed,
    DigestMismatch,
    NotFound,
    UsageError,
    cannot_write,
)
from catalog.gate import check_onnx
from catalog.index import Index, open_index
from catalog.manifest import (
    MANIFEST_FILE,
    Entry,
    Manifest,
    build_manifest,
    copy_verified,
    parse_manifest,
)
from catalog.refs import parse_ref
from catalog.settings import Settings, load_settings
from catalog.stores import Committed, Store, open_named
from catalog.streams import clone
from catalog.testvectors import MODEL_FILE

_MAX_VERSION_BYTES = 100_000_000_000


@dataclass(frozen=True)
class Pulled:
    """A verified version on this machine. Do not write into `folder`: it is the cache."""

    name: str
    version: int
    digest: str
    folder: Path
    card: Card

    @property
    def ref(self) -> str:
        """`name@version`, or `name (unpublished)`."""
        return f"{self.name}@{self.version}" if self.version else f"{self.name} (unpublished)"


def pull(ref: str, settings: Settings | None = None, *, as_bytes: bool = False) -> Pulled:
    """Pull a version into the cache and return where it is; `as_bytes` as for `fetch`.

    Raises
    ------
    NotFound, DigestMismatch, StoreError, CheckFailed
    """
    settings = settings or load_settings()
    with open_index(settings) as index:
        version = resolve(ref, index, settings.store)
    where = replace(settings, store=parse_ref(ref).store or settings.store)
    return fetch(version, where, as_bytes=as_bytes)


def find(ref_or_folder: str, settings: Settings | None = None) -> Pulled:
    """A version folder of the user's (its path holds a '/'), or a version pulled by reference."""
    if "/" in ref_or_folder:  # so that no folder of that name can stand in for a model
        return read_folder(Path(ref_or_folder))
    return pull(ref_or_folder, settings)


def read_folder(folder: Path) -> Pulled:
    """An unpublished version folder as if pulled; its version number is 0.

    Raises
    ------
    CheckFailed
    """
    card = read_card(folder)
    if not (folder / MODEL_FILE).is_file():
        raise CheckFailed(str(folder), [f"{MODEL_FILE} is missing"])
    problems = check_onnx(folder / MODEL_FILE, card)
    if problems:
        raise CheckFailed(str(folder), problems)
    return Pulled(card.name, 0, build_manifest(folder).digest, folder, card)


def known_as(version: Pulled, ref: str | None) -> Pulled:
    """The version of a folder under its number in the catalog; `ref` is `name@number`, or None.

    Raises
    ------
    UsageError
        That is no such reference, or of another model.
    """
    if ref is None or ref == version.ref:
        return version
    name, _, number = ref.partition("@")
    if name != version.name or not number.isdecimal() or not int(number):
        raise UsageError(f"{ref!r} cannot be a version of {version.name!r}", "name@number")
    return replace(version, version=int(number))


def resolve(ref: str, index: Index, store: str, *, gone: bool = False) -> Committed:
    """The version that a reference means in the configured store: the newest if it names none.

    An alias is asked of the store, because it may have moved since the last sync. What was deleted
    is found only with `gone`.

    Raises
    ------
    NotFound
        With the nearest names.
    """
    wanted, number = parse_ref(ref), None
    if wanted.alias:
        number = _aliased(open_named(wanted.store or store), wanted.name, wanted.alias)
    rows = index.lookup(
        wanted.name,
        store=wanted.store or store,
        version=number or wanted.version,
        digest=wanted.digest,
    )
    if rows and rows[0].gone and not gone:
        raise NotFound(
            f"{rows[0].ref} was deleted in the store {rows[0].store!r} (noticed on {rows[0].gone})",
            f"what is known of it: catalog show {ref}",
        )
    if rows:
        return Committed(rows[0].name, rows[0].version, rows[0].digest)
    names = index.names()
    if wanted.name in names:
        where = f"in the store {wanted.store or store!r}"
        what = ref.partition("@")[2]
        other = index.lookup(wanted.name, store=None, version=wanted.version, digest=wanted.digest)
        seen = other[0].store if other else ""
        shown = f"{seen}:{wanted.name}" if seen and ":" not in seen else wanted.name
        raise NotFound(
            f"{wanted.name!r} has no version {what!r} {where}"
            if what
            else f"{wanted.name!r} is not {where}",
            f"learn what is new there: catalog sync; or see: catalog show {shown}",
        )
    import difflib

    close = difflib.get_close_matches(wanted.name, names, 3, 0.5)
    raise NotFound(
        f"no model {wanted.name!r} in the index"
        + (f"; close: {', '.join(close)}" if close else ""),
        "list all: catalog search    (published elsewhere? refresh the index: catalog sync)",
    )


def _aliased(store: Store, name: str, alias: str) -> int:
    """The number of the version that an alias means now."""
    known = {it.alias: it.version for it in store.aliases(name)}
    if alias not in known:
        have = ", ".join(known) or "none"
        raise NotFound(
            f"{name!r} has no alias {alias!r} (it has {have})",
            f"see its versions: catalog show {name}",
        )
    return known[alias]


def fetch(
    version: Committed, settings: Settings, store: Store | None = None, *, as_bytes: bool = False
) -> Pulled:
    """Fetch a resolved version; an intact copy in the cache is used without asking the store.

    The store is `settings.store`, opened when it is needed, unless one is given. `as_bytes` fetches
    a version that has no model of ours, e.g. an annotated one of pickles: its files are verified
    and copied, and nothing more. Whoever runs a model never asks for that.
    """
    if not version.digest:
        ref = f"{version.name}@{version.version}"
        shown = ref if ":" in settings.store else f"{settings.store}:{ref}"
        raise CheckFailed(
            ref,
            ["it was registered by other means: it has no manifest to verify it by"],
            f"give it a card: catalog annotate {shown} CARD.yaml",
        )
    folder = settings.cache / "versions" / version.digest.removeprefix("sha256:")
    if not _intact(folder, version.digest):
        shutil.rmtree(folder, ignore_errors=True)
        store = store or open_named(settings.store)
        manifest = read_manifest(store, version)
        try:
            materialise(manifest, store, version, settings.cache, folder)
        except OSError as exc:
            raise cannot_write(settings.cache, exc) from exc
    from catalog.signing import demand

    demand(folder, f"{version.name}@{version.version}", settings)
    card = read_card(folder)
    if not as_bytes:
        _check_pulled(version, folder, card)
    return Pulled(version.name, version.version, version.digest, folder, card)


def _check_pulled(version: Committed, folder: Path, card: Card) -> None:
    """A version whose model is not what its card says is not handed out as a model."""
    ref = f"{version.name}@{version.version}"
    if not (folder / MODEL_FILE).is_file():
        raise CheckFailed(
            f"{ref} cannot be run",
            [f"it has no {MODEL_FILE}"],
            f"its files, verified but never loaded: catalog pull {ref} --as-bytes",
        )
    problems = check_onnx(folder / MODEL_FILE, card)
    if problems:
        raise CheckFailed(f"{ref} as pulled", problems)


def read_manifest(store: Store, version: Committed) -> Manifest:
    """The manifest of a version, checked against its digest.

    Raises
    ------
    BadFile
    """
    where = f"{version.name}@{version.version}"
    manifest = parse_manifest(store.manifest(version), where)
    if manifest.digest != version.digest:
        raise BadFile(
            f"{where}: the store's manifest is {manifest.digest}, expected {version.digest}",
            "somebody changed it: refresh with catalog sync, or publish the version again",
        )
    if manifest.size > _MAX_VERSION_BYTES:
        raise BadFile(f"{where}: claims {manifest.size:,} bytes")
    return manifest


def materialise(
    manifest: Manifest, store: Store, version: Committed, cache: Path, folder: Path
) -> None:
    """Fetch absent blobs and copy them into `folder`, which appears complete or not at all.

    Files are copied, never linked: the ONNX checker refuses links, and a shared inode would let
    one user's edit reach another.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temp = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".pull-"))
    try:
        for entry in manifest.entries:
            target = temp / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not _take(_blob(entry, cache), target, entry):
                clone(fetch_blob(entry, store, version, cache), target)
        (temp / MANIFEST_FILE).write_bytes(manifest.to_bytes())
        try:
            temp.rename(folder)
        except OSError:  # another process was first, with the same bytes
            if not _intact(folder, manifest.digest):
                raise
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _take(blob: Path, target: Path, entry: Entry) -> bool:
    """Copy a blob of an earlier pull, verified on the way; one that rotted is removed."""
    if not _plain(blob):
        return False
    try:
        with blob.open("rb") as source, target.open("wb") as sink:
            copy_verified(source, sink, entry)
    except FileNotFoundError:
        return False
    except DigestMismatch:
        blob.unlink(missing_ok=True)
        return False
    return True


def _plain(blob: Path) -> bool:
    """Whether a plain file is there; whatever else lies there is removed."""
    try:
        mode = blob.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISREG(mode):
        return True
    if stat.S_ISDIR(mode):
        shutil.rmtree(blob)
    else:
        blob.unlink(missing_ok=True)
    return False


def fetch_blob(entry: Entry, store: Store, version: Committed, cache: Path) -> Path:
    """The bytes of one file in the blob cache, verified when they were fetched.

    Unique temporary name, hash while streaming, atomic rename: no lock is needed, which shared
    file systems only pretend to have. Nothing is flushed to the disk: what a power cut tears is
    found by the next reader, who verifies, and fetched again.
    """
    blob = _blob(entry, cache)
    if _plain(blob) and blob.stat().st_size == entry.size:
        return blob
    blob.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temp = tempfile.mkstemp(dir=blob.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as sink, store.open_file(version, entry) as source:
            copy_verified(source, sink, entry)
        Path(temp).replace(blob)
    finally:
        Path(temp).unlink(missing_ok=True)
    return blob


def _blob(entry: Entry, cache: Path) -> Path:
    name = entry.digest.removeprefix("sha256:")
    return cache / "blobs" / name[:2] / name


def copy_out(pulled: Pulled, out: Path) -> Path:
    """Copy a pulled version to a folder of the user's.

    Raises
    ------
    CheckFailed
        `out` exists and holds something else.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", "choose a folder: --out FOLDER")
    if out.exists() and any(out.iterdir()):
        if _intact(out, pulled.digest):
            return out
        raise CheckFailed(
            str(out), ["the folder exists and is not this version"], "choose another --out"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temp = Path(tempfile.mkdtemp(dir=out.parent, prefix=".pull-"))
        try:
            shutil.copytree(pulled.folder, temp, dirs_exist_ok=True)
            temp.chmod(0o755)
            temp.replace(out)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
    except OSError as exc:
        raise cannot_write(out, exc) from exc
    return out


def _intact(folder: Path, digest: str) -> bool:
    try:
        return folder.is_dir() and build_manifest(folder).digest == digest
    except (CatalogError, OSError):
        return False
