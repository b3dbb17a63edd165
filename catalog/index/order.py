"""Numbers that keep versions in the order of a search, so that nothing is sorted to show a page.

A new version takes a number between those of its neighbours. Where none is left, the versions after
it move apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from catalog.index.protocol import Database

Key = tuple[str, int, str]  # name, version, store

_STEP = 1 << 32  # between two that are put at the end
_ROOM = 1 << 16  # that those keep between them which move apart


def places_of(db: Database, keys: Iterable[Key]) -> dict[Key, int]:
    """Numbers for versions that are not there yet, each as it stands among those that are."""
    found: dict[Key, int] = {}
    left = sorted(keys)  # text by its code points, which is the order of its bytes
    while left:
        before, after = _neighbours(db, left[0])
        run = list(takewhile(lambda key: after is None or key < after[1], left))  # noqa: B023
        found |= zip(run, _between(db, before, after and after[0], len(run)), strict=True)
        left = left[len(run) :]
    return found


def _neighbours(db: Database, key: Key) -> tuple[int, tuple[int, Key] | None]:
    """The number before a key, and number and key of the version after it."""
    down = "ORDER BY name DESC, version DESC, store DESC LIMIT 1"
    sql = f"SELECT place FROM versions WHERE (name, version, store) < (?, ?, ?) {down}"  # noqa: S608
    before = db.ask(sql, key)
    sql = (
        "SELECT place, name, version, store FROM versions "
        "WHERE (name, version, store) > (?, ?, ?) ORDER BY name, version, store LIMIT 1"
    )
    after = [(int(place), (str(n), int(v), str(s))) for place, n, v, s in db.ask(sql, key)]
    return (int(before[0][0]) if before else 0), (after[0] if after else None)


def _between(db: Database, before: int, after: int | None, count: int) -> list[int]:
    if after is None:
        step = _STEP
    elif not (step := (after - before) // (count + 1)):
        step = _move_apart(db, before, count)
    return [before + step * (number + 1) for number in range(count)]


def _move_apart(db: Database, before: int, count: int) -> int:
    """Leave `count` numbers free after `before`, with that step between them."""
    moved, step = 1, 0
    while step < _ROOM:
        moved *= 2
        sql = "SELECT id, place FROM versions WHERE place > ? ORDER BY place LIMIT ?"
        rows = db.ask(sql, (before, moved + 1))
        if len(rows) <= moved:
            step = _STEP
        else:
            step = (int(rows[moved][1]) - before) // (count + moved + 1)
    places = {int(it): before + step * (count + 1 + n) for n, (it, _) in enumerate(rows[:moved])}
    sql = "UPDATE versions SET place = ? WHERE id = ?"
    # Below zero in between: the words of two versions must never have one number.
    db.run(sql, [(-place, it) for it, place in places.items()])
    db.run(sql, [(place, it) for it, place in places.items()])
    return step
