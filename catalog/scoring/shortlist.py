"""Stage 1: which models are worth running, from the index alone; nothing is pulled or run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from catalog.card import Card
from catalog.compat import Conditions, cannot_adapt, outside, particle_class
from catalog.domain.geometry import GEOMETRY
from catalog.fingerprint import Fingerprint, rank, stack
from catalog.index import Row
from catalog.physics.observables import Observables
from catalog.scoring.asked import Asked, asked_of
from catalog.showers import ShowerSet

PROBED = 8  # models that are run
_EXTRA = 4  # more of them that a fingerprint cannot place: told the geometry, or without one
_SHAPE = '"shape":{'  # of a card whose domain gives a mesh
_WORDS = tuple(f'"{name}"' for name in GEOMETRY[1:])  # of a card whose model is told the geometry


@dataclass(frozen=True)
class Listed:
    """A model that could be adapted; `distance` is of fingerprints, infinite where unknown."""

    row: Row
    distance: float
    why: str


@dataclass(frozen=True)
class Shortlist:
    """`chosen` are to be run; `others` are not, nearest first; `excluded` are (ref, why)."""

    chosen: tuple[Listed, ...]
    others: tuple[Listed, ...]
    excluded: tuple[tuple[str, str], ...]


def shortlist(
    target: ShowerSet,
    rows: Sequence[Row],
    vectors: Mapping[str, bytes],
    most: int = PROBED,
    seen: Observables | None = None,
) -> Shortlist:
    """Rank all models by fingerprint and choose some `most` of them; all of a small catalog.

    A model that is told the geometry is known by fingerprint at its own detector only, and one
    without a fingerprint not at all: up to four of either are chosen beside the nearest. `seen` are
    the observables of the target, where somebody has computed them.
    """
    return shortlisted(asked_of(target, seen), rows, vectors, most)


def shortlisted(
    asked: Asked, rows: Sequence[Row], vectors: Mapping[str, bytes], most: int
) -> Shortlist:
    """The same from what is known of the target without its showers."""
    possible: list[Row] = []
    excluded: list[tuple[str, str]] = []
    for row in rows:
        if why := _row_cannot(row, asked):
            excluded.append((row.ref, why))
        else:
            possible.append(row)
    distances = _distances(asked.fingerprint, possible, vectors)
    nearest = sorted(range(len(possible)), key=lambda i: (distances[i], possible[i].ref))
    chosen: list[Listed] = []
    others: list[Listed] = []
    room = {"fingerprint": most, "geometry": _EXTRA, "no fingerprint": _EXTRA}
    if len(possible) <= 2 * most:
        room = dict.fromkeys(room, len(possible))
    for i in nearest:
        kind = _kind(possible[i], float(distances[i]))
        entry = Listed(possible[i], float(distances[i]), kind)
        if room[kind] <= 0:
            others.append(entry)
        elif why := _card_cannot(possible[i], asked):
            excluded.append((possible[i].ref, why))
        else:
            chosen.append(entry)
            room[kind] -= 1
    return Shortlist(tuple(chosen), tuple(others), tuple(excluded))


def newest(rows: Sequence[Row], store: str) -> list[Row]:
    """The newest version of each model, each digest once: that in `store` where it lies there."""
    last: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.store, row.name)
        if key not in last or row.version > last[key].version:
            last[key] = row
    once: dict[str, Row] = {}
    for row in sorted(last.values(), key=lambda row: row.store != store):
        once.setdefault(row.digest or f"{row.store}:{row.ref}", row)
    return list(once.values())


def unranked(rows: Sequence[Row], vectors: Mapping[str, bytes]) -> str:
    """What to do about models whose card tells enough for a fingerprint, and that have none here.

    An index of an older catalog has none at all; `catalog sync --full` reads them from the store.
    """
    able = [
        row for row in rows if row.digest and row.e_low and row.particles and _SHAPE in row.card
    ]
    absent = sum(not vectors.get(row.digest) for row in able)
    if not absent:
        return ""
    return (
        f"{absent} of {len(able)} generators have no fingerprint in the index, so that nothing "
        "tells how near they are before they are run; if their versions keep one, run: "
        "catalog sync --full"
    )


def _kind(row: Row, distance: float) -> str:
    """Which of the places a model competes for."""
    if any(word in row.card for word in _WORDS):
        return "geometry"
    return "fingerprint" if np.isfinite(distance) else "no fingerprint"


def _distances(
    taken: Fingerprint | None, rows: Sequence[Row], vectors: Mapping[str, bytes]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if taken is None or not rows:
        return np.full(len(rows), np.inf)
    return rank(taken, stack([vectors.get(row.digest, b"") for row in rows]))


def _row_cannot(row: Row, target: Conditions) -> str | None:
    """What the index alone tells; the words are those of `catalog.compat`."""
    if row.particles and particle_class(target.pdg) not in {*map(particle_class, row.particles)}:
        return f"made for other particles than PDG {target.pdg}"
    covered = (row.e_low, row.e_high) if row.e_low and row.e_high else None
    if covered and (why := outside(covered, target.incident_gev)):
        return why
    return None if row.card else "undocumented: it has no card"


def _card_cannot(row: Row, target: Conditions) -> str | None:
    try:
        card = Card.model_validate_json(row.card)
    except ValidationError:
        return "its card cannot be read"
    return cannot_adapt(card, target)
