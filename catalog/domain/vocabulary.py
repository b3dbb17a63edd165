"""The vocabulary of known detectors: one YAML file each, in `detectors/`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from catalog.domain.detector import Detector
from catalog.errors import BadFile, NotFound
from catalog.strict_yaml import load_yaml
from catalog.validation import explain

_MAX_YAML = 1_000_000  # bytes; a detector or a card is a page of text


def detector_names() -> list[str]:
    """Names of all known detectors."""
    folder = files("catalog.domain").joinpath("detectors")
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def load_detector(name_or_path: str) -> Detector:
    """Load a detector by its name in the vocabulary, or from a YAML file.

    Raises
    ------
    NotFound
        The name is not in the vocabulary and no such file exists.
    BadFile
        The file is not a valid detector.
    """
    if name_or_path in detector_names():
        folder = files("catalog.domain").joinpath("detectors")
        text = folder.joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return Detector.model_validate(yaml.safe_load(text))
    path = Path(name_or_path)
    if not path.is_file():
        raise NotFound(
            f"no detector {name_or_path!r}; known: {', '.join(detector_names())}",
            "give one of these names, or the path of a YAML file that describes your detector",
        )
    return parse_detector(path)


def parse_detector(path: Path) -> Detector:
    """Read a detector from a YAML file of the user's."""
    if path.stat().st_size > _MAX_YAML:
        raise BadFile(f"{path}: larger than {_MAX_YAML} bytes, so not a detector description")
    try:
        return Detector.model_validate(load_yaml(path.read_text(encoding="utf-8")))
    except ValidationError as exc:
        raise BadFile(f"{path}: not a valid detector: {'; '.join(explain(exc))}") from exc
    except ValueError as exc:
        raise BadFile(f"{path}: {exc}") from exc
