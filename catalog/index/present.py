"""A search result as JSON and as text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from catalog.index.query import particle_name
from catalog.index.row import Places, Row
from catalog.index.sql import plain
from catalog.refs import prefix_of
from catalog.text import table


def as_dict(row: Row, places: Places) -> dict[str, Any]:
    """The JSON of one model."""
    return {
        "ref": row.ref, "name": row.name, "version": row.version, "store": row.store,
        "digest": row.digest, "task": row.task, "family": row.family, "detector": row.detector,
        "detector_type": row.detector_type, "particles": list(row.particles),
        "energy_gev": None if row.e_low is None else [row.e_low, row.e_high],
        "licence": row.licence, "validated": row.validated, "summary": row.summary,
        "aliases": list(row.aliases), "stores": list(places.stores), "gone": row.gone or None,
        "conflicts": [{"store": store, "digest": digest} for store, digest in places.conflicts],
    }  # fmt: skip


def as_json(row: Row, places: Places) -> str:
    """The same as text, in ASCII and on one line."""
    return _compact(as_dict(row, places))


def parts_of(row: Row) -> tuple[str, str, str]:
    """Beginnings of the JSON and the rest of it, for a version that lies in one store alone.

    The first one is for who has that store as the usual one, the second for everybody else.
    """
    known = replace(
        row, particles=tuple(sorted(set(row.particles), reverse=True)), aliases=(), gone=""
    )
    value: dict[str, Any] = {
        key: it if isinstance(it, list) else plain((it,))[0]
        for key, it in as_dict(known, Places(plain((row.store,)), ())).items()
    }
    name, store = value["name"], value["store"]
    here, there = (
        '{"ref":' + _compact(f"{prefix_of(store, usual, name)}{name}@{row.version}")
        for usual in (store, "")
    )
    del value["ref"]
    return here, there, "," + _compact(value)[1:]


def _compact(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def human(rows: list[tuple[Row, Places]]) -> str:
    """The table of a search; columns that say nothing of any model are left out."""
    lines = [
        (
            row.ref, row.task or "undocumented", row.family or "-", row.detector or "-",
            " ".join(particle_name(pdg) for pdg in row.particles) or "-",
            "-" if row.e_low is None else f"{row.e_low:.3g}..{row.e_high:.3g}",
            "yes" if row.validated else "no", " ".join(row.aliases), _where(row, places),
        )
        for row, places in rows
    ]  # fmt: skip
    head = ("REF", "TASK", "FAMILY", "DETECTOR", "PARTICLES", "GEV", "VALIDATED", "ALIASES", "")
    shown = [n for n, name in enumerate(head) if n < 7 or any(line[n] for line in lines)]
    return table([head[n] for n in shown], [[line[n] for n in shown] for line in lines])


def _where(row: Row, places: Places) -> str:
    """Where else it is, and what contradicts it."""
    words = []
    if len(places.stores) > 1:
        words.append(f"in {', '.join(places.stores)}")
    if row.gone:
        words.append(f"gone since {row.gone}")
    if places.conflicts:
        others = ", ".join(store for store, _ in places.conflicts)
        words.append(f"CONFLICT: another {row.name}@{row.version} in {others}")
    return "; ".join(words)
