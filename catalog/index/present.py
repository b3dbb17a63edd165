"""A search result as JSON and as text."""

from __future__ import annotations

from typing import Any

from catalog.index.query import particle_name
from catalog.index.sqlite import Row
from catalog.text import table


def as_dict(row: Row) -> dict[str, Any]:
    """The JSON of one model."""
    return {
        "ref": row.ref, "name": row.name, "version": row.version, "store": row.store,
        "digest": row.digest, "task": row.task, "family": row.family, "detector": row.detector,
        "detector_type": row.detector_type, "particles": list(row.particles),
        "energy_gev": None if row.e_low is None else [row.e_low, row.e_high],
        "licence": row.licence, "validated": row.validated, "summary": row.summary,
        "aliases": list(row.aliases),
    }  # fmt: skip


def human(rows: list[Row]) -> str:
    """The table of a search."""
    lines = [
        (
            row.ref, row.task or "undocumented", row.family or "-", row.detector or "-",
            " ".join(particle_name(pdg) for pdg in row.particles) or "-",
            "-" if row.e_low is None else f"{row.e_low:.3g}..{row.e_high:.3g}",
            "yes" if row.validated else "no", " ".join(row.aliases),
        )
        for row in rows
    ]  # fmt: skip
    head = ("REF", "TASK", "FAMILY", "DETECTOR", "PARTICLES", "GEV", "VALIDATED", "ALIASES")
    shown = len(head) if any(row.aliases for row in rows) else len(head) - 1
    return table(head[:shown], [line[:shown] for line in lines])
