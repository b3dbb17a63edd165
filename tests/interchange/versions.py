"""Versions that are hard to write down: any text, weights in another file, an own README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from catalog.card import Lineage, Physics, Training
from catalog.pull import Pulled, read_folder
from tests.toys import generator_folder

DIGEST = "sha256:" + "ab" * 32
TEXT = 'Schauer in Blei-Wolframat — 鉛 "quoted" | <b>&\\ #1 π⁻ 😀'


def rich_folder(folder: Path, **changes: Any) -> Path:
    """A version whose card fills every field that an export reads."""
    fields: dict[str, Any] = {
        "summary": TEXT,
        "description": f"{TEXT}\n\n# not a heading\n---\n```\n{TEXT}",
        "authors": ("Ægir Ünal", "鈴木"),
        "references": ("https://doi.org/10.1000/1",),
        "training": Training(dataset="Geant4 π", dataset_digest=DIGEST, energy_kwh=1.25),
        "lineage": Lineage(parent=DIGEST, parent_ref="base@3", recipe="full"),
        "physics": (
            Physics(
                dataset="Geant4 π | <x>", n=300, passed=True,
                metrics={"w1_geomean": 0.02, "auc": 0.6}, floor={"w1_geomean": 0.01},
            ),
        ),
    }  # fmt: skip
    generator_folder(folder, **(fields | changes))
    (folder / "README.md").write_text(f"# Own words\n\n{TEXT}\n", encoding="utf-8")
    return folder


def rich(folder: Path, **changes: Any) -> Pulled:
    return read_folder(rich_folder(folder, **changes))


def with_external_weights(folder: Path) -> Path:
    """The same model, its weights in a file beside."""
    path = folder / "model.onnx"
    model = onnx.load(path)
    path.unlink()
    onnx.save(
        model, path, save_as_external_data=True, location="weights.data", size_threshold=100
    )  # fmt: skip
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
