"""The formats, and the two verbs: a version out, a version in.

A format is a module with `write(version, out)`, which fills an empty folder, and, if it carries
all files of a version, `read(folder, out)`, which fills an empty folder with them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from catalog.card import CARD_FILE, Card, card_yaml, parse_card
from catalog.errors import CheckFailed, UsageError
from catalog.gate import Checked, check_folder
from catalog.interchange.folder import Version, new_folder, read_small, refuse_links
from catalog.manifest import build_manifest
from catalog.onnx_file import read_onnx
from catalog.publish import Say, add_test_vectors
from catalog.pull import Pulled
from catalog.testvectors import MODEL_FILE


class Format(NamedTuple):
    """`carries`: whether it holds every file of a version, so that it can be imported."""

    what: str
    carries: bool


FORMATS = {
    "cyclonedx": Format("CycloneDX 1.6 bill of materials of the model, with its energy", False),
    "fair4ml": Format("FAIR4ML 0.1.0 and schema.org, JSON-LD", False),
    "huggingface": Format("a Hugging Face model repository, README.md with its card", True),
    "kubeflow": Format("a source of Kubeflow's model catalog, YAML", False),
    "oci-artifact": Format("an OCI image layout as CNCF ModelPack has it", True),
    "triton": Format("a model repository of Triton Inference Server", False),
}


def export_version(name: str, pulled: Pulled, out: Path, uri: str = "") -> None:
    """Write a version in another catalog's format.

    Parameters
    ----------
    pulled : the version, verified
    out : a folder that must not exist; it appears complete or not at all
    uri : where others can fetch the version, for formats that say so

    Raises
    ------
    UsageError, CatalogError
    """
    module = _module(name)
    manifest = build_manifest(pulled.folder)
    version = Version(pulled.ref, manifest.digest, pulled.folder, pulled.card, manifest, uri)
    with new_folder(out) as temp:
        module.write(version, temp)


def import_version(name: str, folder: Path, out: Path, card: Path | None, say: Say) -> Checked:
    """Make a version folder of what another catalog exported, and put it through the gate.

    Parameters
    ----------
    card : a card file, for what carries none

    Raises
    ------
    UsageError
        This format does not carry a version's files.
    CheckFailed
        With everything that keeps it from being published.
    BadFile, DigestMismatch
        It is not that format, its bytes are not the ones that it promises, or there is a link or a
        pipe in the folder.
    """
    module = _module(name)
    if not FORMATS[name].carries:
        known = ", ".join(key for key, value in FORMATS.items() if value.carries)
        raise UsageError(
            f"{name} describes a model but does not carry its files: nothing to import",
            f"importable: {known}",
        )
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", "give the folder that was exported")
    refuse_links(folder)
    with new_folder(out) as temp:
        module.read(folder, temp)
        _add_card(folder, temp, card)
        add_test_vectors(temp, say)
        try:
            checked = check_folder(temp)
        except CheckFailed as exc:
            raise CheckFailed(f"{folder} cannot be imported", exc.problems, _HOW) from exc
    return Checked(out, checked.card, checked.manifest)


_HOW = "mend these there, or write a card and give it: --card card.yaml (see docs/interchange.md)"


def _module(name: str) -> ModuleType:
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}", f"known formats: {', '.join(FORMATS)}")
    return import_module(f"catalog.interchange.{name.replace('-', '_')}")


def _add_card(folder: Path, temp: Path, given: Path | None) -> None:
    """Put the user's card beside a foreign model; say what to fill in if there is none."""
    if (temp / CARD_FILE).exists():
        if given:
            raise UsageError(f"{folder} has a card of its own", "import it without --card")
        return
    if given is None:
        raise CheckFailed(f"{folder} carries no card of ours", _missing(temp), _HOW)
    (temp / CARD_FILE).write_text(card_yaml(_given_card(given)), encoding="utf-8")


def _given_card(path: Path) -> Card:
    return parse_card(read_small(path.parent, path.name).decode("utf-8", "replace"), str(path))


def _missing(temp: Path) -> list[str]:
    """The fields that only a person knows, and the tensors that the model tells."""
    wanted = [name for name, field in Card.model_fields.items() if field.is_required()]
    problems = [f"{CARD_FILE} is missing; it needs {', '.join(wanted)}"]
    model = temp / MODEL_FILE
    if not model.is_file():
        return [*problems, f"{MODEL_FILE} is missing"]
    graph = read_onnx(model)
    for where, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        problems += [
            f"the model's {where} {name!r} is {tensor.dtype}{list(tensor.shape)}: say what it means"
            for name, tensor in tensors.items()
        ]
    return problems
