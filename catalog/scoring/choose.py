"""Which models to run for a target, asked of the index; a registry answers from its own."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.index import Index, Query
from catalog.scoring.asked import Asked
from catalog.scoring.decide import Covered
from catalog.scoring.shortlist import Shortlist, newest, shortlisted, unranked

_ALL = 1_000_000  # rows: the whole index


@dataclass(frozen=True)
class Choice:
    """The shortlist, the energies that each generator covers, and what to say beside it."""

    listed: Shortlist
    covered: tuple[Covered, ...]
    words: str


def choose(asked: Asked, index: Index, store: str, most: int) -> Choice:
    """Rank the generators of the index; nothing is pulled or run.

    Through a registry only the fingerprint and the conditions are sent.
    """
    from catalog.remote.index import RemoteIndex

    if isinstance(index, RemoteIndex):
        from catalog.scoring.sent import choice_of, question

        sent = question(asked, most)
        return choice_of(index.client.json("POST", "/shortlist", None, sent, again=True))
    query = Query(task="shower-generation", limit=_ALL)
    rows = newest(index.search(query, store)[1], store)
    vectors = index.vectors()
    return Choice(
        shortlisted(asked, rows, vectors, most),
        tuple((row.e_low, row.e_high) for row in rows),
        unranked(rows, vectors),
    )
