"""The words of a text as full text search compares them.

SQLite and PostgreSQL cut text differently, and each by its own release of Unicode. So both get
words that were cut here, and only look them up: what is found does not depend on the database.
"""

from __future__ import annotations

import re
from functools import lru_cache

from catalog.index.sql import plain

_LONGEST = 64  # characters: a digest is a word; PostgreSQL takes up to 2 kB
_MOST = 4_000  # of a text: PostgreSQL keeps up to 1 MB of words of a version


def words_of(text: str) -> list[str]:
    """The different words of a text without case and accents, in the order of the text."""
    if not text.isascii():
        text = _without_accents(text)
    found = dict.fromkeys(word[:_LONGEST] for word in re.findall(r"[^\W_]+", text.casefold()))
    return list(found)[:_MOST]


def _without_accents(text: str) -> str:
    from unicodedata import combining, normalize

    parts = normalize("NFKD", normalize("NFKD", text).casefold())
    return "".join(part for part in parts if not combining(part))


@lru_cache(10_000)
def term(field: str, value: object) -> str:
    """The word that stands for the value of a filter: no text has it, and it is never too long."""
    from hashlib import sha256  # takes a millisecond, and only a search with a filter needs it

    (known,) = plain((value,))
    return "_" + sha256(f"{field}={known}".encode()).hexdigest()[:20]
