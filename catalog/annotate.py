"""Give a version that somebody else registered a card; its files stay as they are.

They are streamed once, to hash them. Nothing is loaded: an ONNX file tells its tensors from its
header, and a pickle is bytes among bytes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from catalog.card import CARD_FILE, Card, card_yaml, read_card_file
from catalog.domain import TensorSpec
from catalog.errors import BadFile, CatalogError, CheckFailed, StoreError
from catalog.fingerprint.file import Kept
from catalog.gate import check_card, compare_tensors
from catalog.index import Index
from catalog.index.rows import row_of
from catalog.manifest import MANIFEST_FILE, Entry, Manifest, check_path, hash_bytes
from catalog.onnx_file import Tensor
from catalog.onnx_header import Header, read_header
from catalog.stores import Committed, Foreign, Store
from catalog.sync import fetch_kept
from catalog.testvectors import MODEL_FILE

Told = Callable[[int, int], None]  # bytes done, of how many

_CHUNK = 1 << 20
_OURS = (CARD_FILE, MANIFEST_FILE)


@dataclass(frozen=True)
class Annotated:
    """The version as it is now.

    compared : what told its tensors to hold the card against: "model.onnx", "the store's records"
        or ""
    unread : why the fingerprint among its files counts for nothing; "" if it does, or there is none
    """

    version: Committed
    card: Card
    compared: str
    unread: str


def annotate(
    version: Committed, path: Path, store: Store, store_name: str, index: Index, told: Told
) -> Annotated:
    """Check a card, hash the version's files, and let the store keep both with the version.

    Nothing is visible before the store's one last step; killed before, nothing has changed.

    Raises
    ------
    CheckFailed
        With every problem of the card, of the files and of both together.
    NotFound, StoreError, NotAuthorised
    """
    card = read_card_file(path)
    ref = f"{version.name}@{version.version}"
    files = [(path, size) for path, size in store.files(version) if path not in _OURS]
    problems = [*_check_names(version, card, files), *check_card(card)]
    if problems:
        raise CheckFailed(f"{ref} cannot have this card", problems, "mend the card and try again")
    entries, header = _hash_all(version, store, files, told)
    compared, problems = _compare(card, header, store.foreign(version))
    if problems:
        raise CheckFailed(f"{ref} cannot have this card", problems, "mend the card and try again")
    text = card_yaml(card).encode()
    entries.append(Entry(CARD_FILE, len(text), hash_bytes(text)))
    manifest = Manifest(tuple(sorted(entries, key=lambda entry: entry.path)))
    made = store.adopt(version, manifest, text)
    kept, unread = _kept(store, made, manifest)
    index.put(row_of(store_name, made, card, kept))
    return Annotated(made, card, compared, unread)


def _kept(store: Store, version: Committed, manifest: Manifest) -> tuple[Kept | None, str]:
    """The fingerprint among somebody else's files, which nobody has checked, or what is wrong."""
    try:
        return fetch_kept(store, version, manifest), ""
    except CatalogError as exc:
        return None, exc.message


def _check_names(version: Committed, card: Card, files: list[tuple[str, int]]) -> list[str]:
    """The card's name, and file names that no version can have."""
    problems = []
    if card.name != version.name and _could_name(card, version.name):
        problems.append(f"{CARD_FILE}: name is {card.name!r}, the model's is {version.name!r}")
    if not files:
        problems.append("the store keeps no files of it")
    for path, _ in files:
        try:
            check_path(path)
        except BadFile as exc:
            problems.append(f"{exc.message} ({exc.hint})")
    if len({path.lower() for path, _ in files}) != len(files):
        problems.append("two of its files differ only in case")
    return problems


def _could_name(card: Card, name: str) -> bool:
    """Whether a card may have this name; MLflow allows more, such as spaces and capitals."""
    try:
        Card.model_validate(card.model_dump() | {"name": name})
    except ValueError:
        return False
    return True


def _hash_all(
    version: Committed, store: Store, files: list[tuple[str, int]], told: Told
) -> tuple[list[Entry], Header | None]:
    """An entry for each file, and what `model.onnx` says of itself, in one pass over the bytes."""
    total, done = sum(size for _, size in files), 0
    entries, header = [], None

    def tell(more: int) -> None:
        nonlocal done
        done += more
        told(min(done, total), total)

    for path, size in files:
        with store.open_file(version, Entry(path, size, "")) as source:
            stream = _Hashing(source, tell)
            if path == MODEL_FILE:
                header = _header_of(version, stream)
            stream.drain()
        if stream.size != size:
            raise StoreError(
                f"{version.name}@{version.version}: {path} has {stream.size:,} bytes, the store "
                f"lists {size:,}",
                "it is being changed: try again later",
            )
        entries.append(Entry(path, size, f"sha256:{stream.sha.hexdigest()}"))
    return entries, header


def _header_of(version: Committed, stream: io.RawIOBase) -> Header:
    try:
        return read_header(io.BufferedReader(stream, _CHUNK))
    except BadFile as exc:
        ref = f"{version.name}@{version.version}"
        raise CheckFailed(f"{ref} cannot have a card", [f"{MODEL_FILE}: {exc.message}"]) from exc


def _compare(card: Card, header: Header | None, foreign: Foreign) -> tuple[str, list[str]]:
    """What told the tensors, and where the card says something else."""
    if header is not None:
        what, (inputs, outputs) = MODEL_FILE, header
    else:
        what = "the store's records"
        inputs, outputs = _named(foreign.inputs, card.inputs), _named(foreign.outputs, card.outputs)
    problems = compare_tensors("input", card.inputs, inputs) if inputs else []
    problems += compare_tensors("output", card.outputs, outputs) if outputs else []
    return (what if inputs or outputs else ""), problems


def _named(told: tuple[TensorSpec, ...], specs: tuple[TensorSpec, ...]) -> dict[str, Tensor]:
    """Tensors of the store's records; one that has no name there takes the card's, by place."""
    names = [spec.name for spec in specs] + [f"(unnamed {n})" for n in range(len(told))]
    return {
        spec.name or names[place]: Tensor(spec.dtype, spec.shape) for place, spec in enumerate(told)
    }


class _Hashing(io.RawIOBase):
    """A stream that hashes and counts whatever is read of it."""

    def __init__(self, source: BinaryIO, tell: Callable[[int], None]) -> None:
        super().__init__()
        self._source = source
        self._tell = tell
        self.sha = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self.sha.update(data)
        self.size += len(data)
        self._tell(len(data))
        return len(data)

    def drain(self) -> None:
        """Read what is left."""
        buffer = bytearray(_CHUNK)
        while self.readinto(memoryview(buffer)):
            pass


def as_dict(done: Annotated, ref: str, store: str) -> Mapping[str, Any]:
    """The JSON of `catalog annotate`."""
    version = done.version
    return {
        "ref": ref, "name": version.name, "version": version.version, "digest": version.digest,
        "store": store, "compared": done.compared,
    }  # fmt: skip
