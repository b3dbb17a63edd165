"""catalog detectors."""

from __future__ import annotations

from typing import Any

import typer

from catalog.cli import out
from catalog.domain import Detector, detector_names, load_detector
from catalog.text import number, table


def run(
    name: str = typer.Argument(None, help="A known name, or your own YAML file to check."),
    as_json: bool = out.JSON,
) -> None:
    """List known detectors with their X0 and Moliere radius, or describe one."""
    names = [name] if name else detector_names()
    found = [_facts(load_detector(item)) for item in names]
    head = ("NAME", "TYPE", "X0_MM", "RM_MM", "DEPTH_X0", "SAMPLING", "TITLE")
    rows = [
        (
            f["name"], f["type"], number(f["x0_mm"]), number(f["rm_mm"]),
            number(f["depth_x0"]), number(f["sampling_fraction"]), f["title"],
        )
        for f in found
    ]  # fmt: skip
    out.emit({"detectors": found}, as_json, lambda: table(head, rows))


def _facts(detector: Detector) -> dict[str, Any]:
    depth, x0 = detector.depth_mm, detector.x0_mm
    return {
        **detector.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        "title": detector.title,
        "materials": list(detector.materials),
        "x0_mm": x0,
        "rm_mm": detector.rm_mm,
        "depth_x0": depth / x0 if depth and x0 else None,
        "sampling_fraction": detector.sampling_fraction,
    }
