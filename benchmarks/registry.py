"""How long a search of many cards takes: of a server that 16 people ask at once, and embedded.

The server is `catalog serve` with tokens asked for, on loopback; the people are threads of one
other process on the same cores, each with a connection and a token of its own. Every search gives
the first hundred models as `GET /api/v1/models` sends them. Some questions come twice, but no
answer is kept anywhere. The people search in two ways:

  closed   each asks again as soon as it is answered: the hardest 16 users that there can be
  paced    each asks once a second

Embedded is `Index.search` with the places of what it found, as `catalog search` asks, alone and in
one process. A PostgreSQL with the settings of its packages is started for it.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.registry_cards import SEED, STORE, asked, made
from benchmarks.registry_users import ask_at_once, serving
from catalog.index import Index, open_index
from catalog.settings import Settings
from catalog.stores import Alias
from registry_server.auth.tokens import create_token
from registry_server.database import open_database
from tests.postgres_server import ABSENT, programs, running_postgres

__all__ = ["SEED", "measure"]
USERS = 16
_CLOSED, _PACED = 60, 12  # questions of each user


def measure(quick: bool) -> dict[str, Any]:
    """`search_p95_ms_100k_sqlite` and the like, in ms."""
    figures: dict[str, Any] = {"users": USERS, "cores": os.cpu_count()}
    for cards in (2_000,) if quick else (100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(Path(home), Path(home), STORE)
            figures |= _named(cards, "sqlite", _of(settings, cards))
        if cards > 100_000:
            continue  # PostgreSQL takes a quarter of an hour to be filled with a million
        if not programs():
            figures["postgres"] = ABSENT
            continue
        with tempfile.TemporaryDirectory() as home, running_postgres() as server:
            settings = Settings(Path(home), Path(home), STORE, index=server.url())
            figures |= _named(cards, "postgres", _of(settings, cards))
    return figures | {"load_before": round(os.getloadavg()[2], 1)}


def _named(cards: int, database: str, figures: dict[str, Any]) -> dict[str, Any]:
    size = f"{cards // 1000}k" if cards < 1_000_000 else f"{cards // 1_000_000}M"
    return {f"{name}_{size}_{database}": value for name, value in figures.items()}


def _of(settings: Settings, cards: int) -> dict[str, Any]:
    """Fill one database, then search it."""
    began = time.perf_counter()
    with open_index(settings) as index:
        _fill(index, cards)
        filled = time.perf_counter() - began
        _settle(settings)
        alone = _embedded(index, 300)
    with closing(open_database(settings)) as database:
        tokens = [create_token(database, f"user{n}", "reader", 1)[0] for n in range(USERS)]
    with serving(settings) as (port, cpu_s):
        ask_at_once(port, tokens, 5, 0.0)  # a server that has run for a second
        before = cpu_s()
        closed = ask_at_once(port, tokens, _CLOSED, 0.0)
        spent = cpu_s() - before
        paced = ask_at_once(port, tokens, _PACED, 1.0)
    return {
        "search_p95_ms": _cut(closed.ms, 95),
        "search_p50_ms": _cut(closed.ms, 50),
        "search_p99_ms": _cut(closed.ms, 99),
        "searches_per_s": round(len(closed.ms) / closed.seconds),
        "server_cpu_ms": round(1000 * spent / len(closed.ms), 2),
        "client_cpu_ms": round(1000 * closed.cpu_s / len(closed.ms), 2),
        "paced_p50_ms": _cut(paced.ms, 50),
        "paced_p95_ms": _cut(paced.ms, 95),
        "embedded_p50_ms": _cut(alone, 50),
        "embedded_p95_ms": _cut(alone, 95),
        "fill_s": round(filled),
    }


def _fill(index: Index, cards: int) -> None:
    rows = made(cards)
    while batch := list(islice(rows, 2000)):
        index.put(*batch)
        index.set_alias(STORE, Alias(batch[-1].name, "champion", batch[-1].version))


def _settle(settings: Settings) -> None:
    """What a server does by itself within minutes of a large sync: vacuum and statistics."""
    if settings.index:
        import psycopg

        with psycopg.connect(settings.index, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


def _embedded(index: Index, count: int) -> list[float]:
    """Milliseconds of searches in one process."""
    times = []
    for query in islice(asked(random.Random(SEED)), count):
        began = time.perf_counter()
        _, rows = index.search(query, STORE)
        index.all_places(rows)
        times.append(1000 * (time.perf_counter() - began))
    return times


def _cut(times: list[float], percent: int) -> float:
    return round(statistics.quantiles(times, n=100)[percent - 1], 1)
