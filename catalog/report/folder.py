"""Put a page, or a folder of results, where the user asked: whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from catalog.errors import CatalogError, UsageError, cannot_write
from catalog.report.html import Report, render_report

PAGE = "index.html"
_OURS = (".json", ".png", ".html")


def write_report(path: Path, report: Report) -> None:
    """Write one page in one step: readers see the old file or the whole new one.

    Raises
    ------
    CatalogError
        The file cannot be written (no folder, no permission, disk full).
    """
    temp = path.parent / f".report-{secrets.token_hex(8)}.part"
    try:
        try:
            _write(temp, render_report(report).encode())
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise CatalogError(
            f"{path}: the report cannot be written ({reason})",
            "choose another place, with room and write permission",
        ) from exc


def check_free(folder: Path, force: bool) -> None:
    """Refuse a folder that holds something else; `force` allows an earlier result.

    Raises
    ------
    UsageError
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise UsageError(f"{folder} is not a folder", "choose a new one: --out FOLDER")
    held = sorted(path.name for path in folder.iterdir())
    if not held:
        return
    strange = [name for name in held if not name.endswith(_OURS) or (folder / name).is_dir()]
    if strange or PAGE not in held:
        raise UsageError(
            f"{folder} holds other things ({', '.join((strange or held)[:3])}): it is not replaced",
            "choose a new folder: --out FOLDER",
        )
    if not force:
        raise UsageError(f"{folder} holds an earlier result", "replace it: --force")


def write_folder(folder: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Write a folder of files; it appears complete, and an old one stays until then.

    Raises
    ------
    UsageError
        See `check_free`.
    CatalogError
        The folder cannot be written (no permission, disk full).
    """
    check_free(folder, force)
    mark = secrets.token_hex(8)
    temp, old = (folder.parent / f".{folder.name}-{mark}.{end}" for end in ("part", "old"))
    try:
        temp.mkdir(parents=True)
        try:
            for name, content in files.items():
                _write(temp / name, content)
            _swap(temp, folder, old)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as exc:
        raise cannot_write(folder, exc) from exc


def _swap(temp: Path, folder: Path, old: Path) -> None:
    """Put the new folder in the place of the old one, which comes back if that fails."""
    if folder.exists():
        folder.rename(old)
    try:
        temp.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise


def _write(path: Path, content: bytes) -> None:
    # os.open and not mkstemp: a result gets the permissions of any new file
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(handle, "wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())
