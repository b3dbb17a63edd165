"""The publish gate: everything that can be checked before a byte leaves this machine.

Files are admitted by content, not by extension, and all problems are reported at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.card import CARD_FILE, Card, read_card
from catalog.errors import CatalogError, CheckFailed
from catalog.manifest import MANIFEST_FILE, Manifest, build_manifest
from catalog.testvectors import INPUTS_FILE, MODEL_FILE, OUTPUTS_FILE, check_test_vectors, read_npz

_MAX_FILES = 1000
_MAX_TEXT = 5_000_000  # bytes of a text or picture file
_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(dp", b"(lp", b"cos\n", b"c__")
_ONNX_TYPES = {
    "float32": 1, "float64": 11, "float16": 10, "int64": 7, "int32": 6, "bool": 9
}  # fmt: skip


@dataclass(frozen=True)
class Checked:
    """A version folder that passed."""

    folder: Path
    card: Card
    manifest: Manifest


def check_folder(folder: Path) -> Checked:
    """Check a version folder.

    Raises
    ------
    CheckFailed
        With every problem found.
    """
    if not folder.is_dir():
        raise CheckFailed(
            str(folder), ["no such folder"], "give a folder with card.yaml, model.onnx"
        )
    problems: list[str] = []
    card: Card | None = None
    try:
        card = read_card(folder)
    except CheckFailed as exc:
        problems += [f"{CARD_FILE}: {problem}" for problem in exc.problems]
    problems += _check_files(folder)
    model = folder / MODEL_FILE
    if not model.is_file():
        problems.append(f"{MODEL_FILE} is missing")
    elif card is not None and not any(MODEL_FILE in problem for problem in problems):
        problems += check_onnx(model, card)
    if card is not None and not problems:
        problems += _check_vectors(folder, card)
    if card is None or problems:
        raise CheckFailed(f"{folder} cannot be published", problems, "mend these and publish again")
    return Checked(folder, card, build_manifest(folder))


def check_onnx(path: Path, card: Card) -> list[str]:
    """Check an ONNX file on disk: format, external data, and that it is what the card says."""
    import onnx

    try:
        # On the path, not on bytes: only so are external-data paths checked (see the docs).
        onnx.checker.check_model(str(path))
        model = onnx.load(str(path), load_external_data=False)
    except Exception as exc:  # noqa: BLE001  onnx raises protobuf, checker and OS errors
        return [f"{path.name}: not a valid ONNX model: {_first_line(exc)}"]
    problems = []
    for where, specs, infos in (
        ("input", card.inputs, model.graph.input),
        ("output", card.outputs, model.graph.output),
    ):
        problems += _compare(where, specs, {info.name: info.type.tensor_type for info in infos})
    return problems


def _compare(where: str, specs: tuple[Any, ...], found: dict[str, Any]) -> list[str]:
    """Tensors of the card against those of the graph."""
    problems = [
        f"{MODEL_FILE}: {where} {name!r} is not described in the card"
        for name in found
        if name not in {spec.name for spec in specs}
    ]
    for spec in specs:
        if spec.name not in found:
            have = ", ".join(found) or "none"
            problems.append(
                f"{CARD_FILE}: {where} {spec.name!r} is not in the model (it has {have})"
            )
            continue
        tensor = found[spec.name]
        if tensor.elem_type != _ONNX_TYPES[spec.dtype]:
            problems.append(f"{CARD_FILE}: {where} {spec.name!r} is not {spec.dtype} in the model")
        sizes = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
        fits = len(sizes) == len(spec.shape) and all(
            have in (-1, said) or said == -1 for have, said in zip(sizes, spec.shape, strict=True)
        )
        if not fits:
            problems.append(
                f"{CARD_FILE}: {where} {spec.name!r} has shape {list(spec.shape)} in the card, "
                f"{list(sizes)} in the model (-1 is free)"
            )
    return problems


def _check_files(folder: Path) -> list[str]:
    """Every file by its content."""
    problems = []
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink()]
    if len(paths) > _MAX_FILES:
        return [f"{len(paths)} files; at most {_MAX_FILES} are allowed"]
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            problems.append(f"{name}: a symbolic link; only plain files can be published")
        elif name not in (CARD_FILE, MANIFEST_FILE) and (problem := _check_content(path)):
            problems.append(f"{name}: {problem}")
    return problems


def _check_content(path: Path) -> str | None:
    """What is wrong with one file, or None."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(_PICKLE):
        return "is a Python pickle; pickles are never published or loaded"
    if not head:
        return "is empty"
    suffix = path.suffix.lower()
    if suffix in (".onnx", ".data"):
        return "is a zip archive, not ONNX" if head.startswith(b"PK") else None
    if suffix == ".safetensors":
        return _check_safetensors(path)
    if suffix == ".npz":
        return _reason(read_npz, path)
    if suffix == ".png":
        return None if head.startswith(b"\x89PNG") else "is not a PNG picture"
    if suffix in (".json", ".yaml", ".md", ".txt", ".svg", ".html", ".csv"):
        return _reason(_read_text, path)
    return "is of a kind that is not published (ONNX, safetensors, npz, PNG or text)"


def _check_safetensors(path: Path) -> str | None:
    from catalog.adapt.family import read_checkpoint

    return _reason(read_checkpoint, path)


def _read_text(path: Path) -> None:
    if path.stat().st_size > _MAX_TEXT:
        raise ValueError(f"larger than {_MAX_TEXT} bytes")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        json.loads(text)


def _reason(read: Any, path: Path) -> str | None:
    try:
        read(path)
    except CatalogError as exc:
        return exc.message.removeprefix(f"{path}: ")
    except (ValueError, OSError, RecursionError) as exc:
        return f"cannot be read: {_first_line(exc)}"
    return None


def _check_vectors(folder: Path, card: Card) -> list[str]:
    absent = [name for name in (INPUTS_FILE, OUTPUTS_FILE) if not (folder / name).is_file()]
    if absent:
        return [f"{name} is missing" for name in absent]
    try:
        return check_test_vectors(folder, card)
    except CatalogError as exc:
        return [exc.message]


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
