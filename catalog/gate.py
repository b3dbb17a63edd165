"""The publish gate: everything that can be checked before a byte leaves this machine.

Files are admitted by content, not by extension, and all problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.card import CARD_FILE, Card, read_card
from catalog.contents import check_files
from catalog.domain import TensorSpec
from catalog.errors import BadFile, CatalogError, CheckFailed
from catalog.fingerprint.file import check_fingerprint
from catalog.manifest import Manifest, build_manifest
from catalog.onnx_file import OnnxFile, Tensor, read_onnx
from catalog.signed import stale
from catalog.testvectors import (
    INPUTS_FILE,
    MODEL_FILE,
    OUTPUTS_FILE,
    check_sizes,
    check_test_vectors,
)
from catalog.validation_file import check_validation


@dataclass(frozen=True)
class Checked:
    """A version folder that passed."""

    folder: Path
    card: Card
    manifest: Manifest


def check_folder(folder: Path, *, signing: bool = False) -> Checked:
    """Check a version folder.

    Parameters
    ----------
    signing : a signature that is there is about to be replaced, so it may be stale

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
    file_problems, graphs = check_files(folder)
    problems += file_problems + check_fingerprint(folder)
    if not (folder / MODEL_FILE).is_file():
        problems.append(f"{MODEL_FILE} is missing")
    elif card is not None and MODEL_FILE in graphs:
        problems += _check_card(card, graphs[MODEL_FILE]) + check_validation(folder, card)
    if card is not None and not problems:
        problems += _check_vectors(folder, card)
    if card is not None and not problems:
        manifest = build_manifest(folder)
        problems += [] if signing else stale(folder, manifest)
    if card is None or problems:
        raise CheckFailed(f"{folder} cannot be published", problems, "mend these and publish again")
    return Checked(folder, card, manifest)


def check_onnx(path: Path, card: Card) -> list[str]:
    """Check an ONNX file on disk: format, external data, and that it is what the card says."""
    try:
        return _check_card(card, read_onnx(path))
    except BadFile as exc:
        return [f"{path.name}: {exc.message}"]


def _check_card(card: Card, model: OnnxFile) -> list[str]:
    """The card against itself and against the model."""
    return [
        *compare_tensors("input", card.inputs, model.inputs),
        *compare_tensors("output", card.outputs, model.outputs),
        *check_card(card),
    ]


def check_card(card: Card) -> list[str]:
    """The card against itself."""
    return [f"{CARD_FILE}: {problem}" for problem in (*_check_showers(card), *check_sizes(card))]


def _check_showers(card: Card) -> list[str]:
    """Showers must lie on the mesh that the domain describes."""
    if card.domain.shape is None:
        return []
    size = card.domain.shape.shape().size
    return [
        f"output {spec.name!r} has shape {list(spec.shape)}, but showers on domain.shape "
        f"have {[-1, *size]}"
        for spec in card.outputs
        if spec.role == "showers" and spec.shape[1:] != size
    ]


def compare_tensors(
    where: str, specs: tuple[TensorSpec, ...], found: Mapping[str, Tensor]
) -> list[str]:
    """Tensors of the card against those of the model."""
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
        if tensor.dtype != spec.dtype:
            problems.append(f"{CARD_FILE}: {where} {spec.name!r} is not {spec.dtype} in the model")
        # What the card leaves free must be free: whoever asks for 64 showers would get an error.
        fits = len(tensor.shape) == len(spec.shape) and all(
            have in (-1, said) for have, said in zip(tensor.shape, spec.shape, strict=True)
        )
        if not fits:
            problems.append(
                f"{CARD_FILE}: {where} {spec.name!r} has shape {list(spec.shape)} in the card, "
                f"{list(tensor.shape)} in the model (-1 is free)"
            )
    return problems


def _check_vectors(folder: Path, card: Card) -> list[str]:
    absent = [name for name in (INPUTS_FILE, OUTPUTS_FILE) if not (folder / name).is_file()]
    if absent:
        return [f"{name} is missing" for name in absent]
    try:
        return check_test_vectors(folder, card)
    except CatalogError as exc:
        return [exc.message]
