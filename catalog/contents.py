"""The files of a version, admitted by what they contain and not by their names."""

from __future__ import annotations

import io
import json
import pickletools
import stat
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from catalog.card import CARD_FILE
from catalog.errors import BadFile, CatalogError
from catalog.manifest import MANIFEST_FILE
from catalog.onnx_file import OnnxFile, read_onnx
from catalog.signed import SIGNATURE_FILE, read_signed
from catalog.testvectors import read_npz
from catalog.text import first_line

_MAX_FILES = 1000
_MAX_TEXT = 5_000_000  # bytes of a text or picture file
_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(dp", b"(lp", b"cos\n", b"c__")
_NO_PICKLE = "is a Python pickle; pickles are never published or loaded"
_TEXT = frozenset((".json", ".yaml", ".md", ".txt", ".svg", ".html", ".csv"))


def check_files(folder: Path) -> tuple[list[str], dict[str, OnnxFile]]:
    """Every problem with the files of a folder, and its ONNX files by name."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    paths = sorted(islice(found, _MAX_FILES + 1))
    if len(paths) > _MAX_FILES:
        return [f"more than {_MAX_FILES} files"], {}
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    problems = {name: _check_kind(path) for name, path in names.items()}
    graphs: dict[str, OnnxFile] = {}
    for name, path in names.items():
        if path.suffix.lower() == ".onnx" and problems[name] is None:
            try:
                graphs[name] = read_onnx(path)
            except BadFile as exc:
                problems[name] = exc.message
    weights = {
        (Path(name).parent / place).as_posix() for name, g in graphs.items() for place in g.external
    }
    for name, path in names.items():
        if problems[name] is None and name not in (CARD_FILE, MANIFEST_FILE):
            problems[name] = _check_content(path, name in weights)
    return [f"{name}: {problem}" for name, problem in problems.items() if problem], graphs


def _check_kind(path: Path) -> str | None:
    """What can be said before a file is opened: opening a pipe waits for ever."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "a symbolic link; only plain files can be published"
    if not stat.S_ISREG(mode):
        return "a pipe, a socket or a device; only plain files can be published"
    if path.name in (CARD_FILE, MANIFEST_FILE):
        return None
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    if not head:
        return "is empty"
    return _NO_PICKLE if head.startswith(_PICKLE) else None


def _check_content(path: Path, is_weights: bool) -> str | None:
    """What is wrong with a plain file, or None; `is_weights` if an ONNX file refers to it."""
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return None  # read before
    if suffix == ".data":
        return None if is_weights else "is not the external data of any ONNX file beside it"
    if suffix == ".safetensors":
        from catalog.adapt.family import read_checkpoint

        return _reason(read_checkpoint, path)
    if suffix == ".npz":
        return _reason(read_npz, path)
    if suffix == ".png":
        return _reason(_read_picture, path)
    if suffix in _TEXT:
        return _reason(_read_text, path)
    if path.name == SIGNATURE_FILE:
        return _reason(read_signed, path)
    return "is of a kind that is not published (ONNX, safetensors, npz, PNG or text)"


def _read_text(path: Path) -> None:
    data = _read_bounded(path)
    if _is_pickle(data):
        raise BadFile(_NO_PICKLE)
    text = data.decode("utf-8")
    if path.suffix == ".json":
        json.loads(text)


def _read_picture(path: Path) -> None:
    if not _read_bounded(path).startswith(b"\x89PNG"):
        raise BadFile("is not a PNG picture")


def _read_bounded(path: Path) -> bytes:
    if path.stat().st_size > _MAX_TEXT:
        raise BadFile(f"larger than {_MAX_TEXT} bytes")
    with path.open("rb") as file:
        return file.read(_MAX_TEXT + 1)


def _is_pickle(data: bytes) -> bool:
    """Whether a text reads as a pickle from end to end: protocol 0 is plain text."""
    data = data.strip()
    count, end = 0, 0
    try:
        for _, _, place in pickletools.genops(io.BytesIO(data)):
            count, end = count + 1, place or 0
    except Exception:  # noqa: BLE001  whatever its parsers raise, it is no pickle
        return False
    return count > 2 and end == len(data) - 1  # "1." and the like are text


def _reason(read: Callable[[Path], object], path: Path) -> str | None:
    try:
        read(path)
    except CatalogError as exc:
        return exc.message.removeprefix(f"{path}: ")
    except (ValueError, OSError, RecursionError, MemoryError) as exc:
        return f"cannot be read: {first_line(exc)}"
    return None
