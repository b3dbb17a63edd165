"""What the formats share: a folder that appears complete or not at all, and safe reading."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from catalog.card import Card
from catalog.errors import BadFile, DigestMismatch, UsageError, cannot_write
from catalog.manifest import Entry, Manifest, check_path, copy_verified

MAX_FILES = 1000
MAX_BYTES = 100_000_000_000  # of one version
MAX_SMALL = 4_000_000  # bytes of a document that is read whole
_LFS = b"version https://git-lfs"


@dataclass(frozen=True)
class Version:
    """What is exported: verified files in `folder`, and `uri`, where others can fetch them."""

    ref: str
    digest: str
    folder: Path
    card: Card
    manifest: Manifest
    uri: str = ""


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes `out` when the block ends well, and vanishes if not.

    Raises
    ------
    UsageError
        `out` exists: nothing is ever overwritten.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists already", "choose a new folder: --out FOLDER")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temp = Path(tempfile.mkdtemp(dir=out.parent, prefix=".catalog-"))
    except OSError as exc:
        raise cannot_write(out, exc) from exc
    try:
        yield temp
        temp.chmod(0o755)
        temp.rename(out)
    except OSError as exc:
        raise cannot_write(out, exc) from exc
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def refuse_links(folder: Path) -> None:
    """Refuse a folder with a link or a pipe anywhere in it, whether or not it would be read.

    Raises
    ------
    BadFile
    """
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise BadFile(
                f"{path}: not a plain file: a folder that is imported holds no links or pipes",
                "copy it with what the links mean: cp -rL FOLDER COPY",
            )


def put(version: Version, entry: Entry, target: Path) -> None:
    """Copy one file of a version, verified on the way."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (version.folder / entry.path).open("rb") as source, target.open("wb") as sink:
        copy_verified(source, sink, entry)


def take(folder: Path, path: str, entry: Entry, out: Path) -> None:
    """Copy `path` of a foreign folder to where `entry` belongs in `out`.

    Raises
    ------
    BadFile, DigestMismatch
    """
    target = out / check_path(entry.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_plain(folder, path) as source:
        if source.read(len(_LFS)) == _LFS:
            raise BadFile(f"{folder / path} is a Git LFS pointer, not the file", "git lfs pull")
        source.seek(0)
        with target.open("wb") as sink:
            try:
                copy_verified(source, sink, entry)
            except DigestMismatch as exc:
                raise DigestMismatch(
                    f"{folder}: {exc.message}",
                    "it was changed or damaged on its way: fetch it again",
                ) from exc


def open_plain(folder: Path, path: str) -> BinaryIO:
    """Open a plain file that lies inside a folder; links and pipes are refused.

    Raises
    ------
    BadFile
    """
    target = folder / path
    try:
        mode = target.lstat().st_mode
        inside = target.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
        if not stat.S_ISREG(mode) or not inside:
            raise BadFile(f"{target}: not a plain file inside its folder")
        return target.open("rb")
    except FileNotFoundError as exc:
        raise BadFile(f"{target}: is missing", "is it that format? is it complete?") from exc
    except (OSError, ValueError) as exc:
        raise BadFile(f"{target}: cannot be read: {exc}") from exc


def read_small(folder: Path, path: str) -> bytes:
    """A document that is read whole, of at most MAX_SMALL bytes.

    Raises
    ------
    BadFile
    """
    with open_plain(folder, path) as file:
        data = file.read(MAX_SMALL + 1)
    if len(data) > MAX_SMALL:
        raise BadFile(f"{folder / path}: larger than {MAX_SMALL:,} bytes")
    return data


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises
    ------
    BadFile
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise BadFile(f"{where}: not valid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BadFile(f"{where}: not a JSON object")
    return value


def check_size(manifest: Manifest, where: str) -> None:
    """Refuse what no version is, before a byte is copied.

    Raises
    ------
    BadFile
    """
    if len(manifest.entries) > MAX_FILES or manifest.size > MAX_BYTES:
        raise BadFile(f"{where}: {len(manifest.entries)} files of {manifest.size:,} bytes")


def write_json(path: Path, value: Any) -> None:
    """Write a document as readable, canonical JSON: the same version gives the same bytes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
