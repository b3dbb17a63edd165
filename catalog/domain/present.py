"""Detectors as JSON and as text."""

from __future__ import annotations

from typing import Any

from catalog.domain.detector import Detector
from catalog.text import number, table

_SCALES = ("x0_mm", "rm_mm", "rm_rossi_mm", "lambda_mm", "ec_mev", "ec_rossi_mev", "depth_mm")


def facts(detector: Detector) -> dict[str, Any]:
    """The description, and what follows from the stack (lengths mm, critical energies MeV)."""
    depth, x0 = detector.depth_mm, detector.x0_mm
    return {
        **detector.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        "title": detector.title,
        "materials": list(detector.materials),
        **{scale: getattr(detector, scale) for scale in _SCALES},
        "depth_x0": depth / x0 if depth and x0 else None,
        "sampling_fraction": detector.sampling_fraction,
    }


def many(found: list[dict[str, Any]]) -> str:
    """One line for each."""
    head = ("NAME", "TYPE", "X0_MM", "RM_MM", "DEPTH_X0", "SAMPLING", "TITLE")
    keys = ("x0_mm", "rm_mm", "depth_x0", "sampling_fraction")
    rows = [(f["name"], f["type"], *(number(f[k]) for k in keys), f["title"]) for f in found]
    return table(head, rows)


def one(found: dict[str, Any]) -> str:
    """One line for each field that is known."""
    lines = []
    for key, value in found.items():
        if value in (None, [], ""):
            continue
        if key == "stack":
            lines += [(key, _part(part)) for part in value]
        elif key == "response":
            lines += [(f"response.{k}", str(v)) for k, v in value.items()]
        elif isinstance(value, list):
            lines.append((key, ", ".join(str(v) for v in value)))
        else:
            lines.append((key, number(value, 4) if isinstance(value, float) else str(value)))
    return table(("FIELD", "VALUE"), lines)


def _part(part: dict[str, Any]) -> str:
    slabs = (
        f"{s['mm']} mm {s['material']}{' (active)' if s.get('active') else ''}"
        for s in part["slabs"]
    )
    return f"{part['repeat']} x: {', '.join(slabs)}"
