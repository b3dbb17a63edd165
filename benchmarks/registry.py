"""How long a search of many cards takes when 16 people search at once, per database.

Each user is a process with a connection of its own that asks one question after the other without
a pause, as `catalog search` does: the count, the first hundred and where they lie. The questions
are the same for both databases. A PostgreSQL with the settings of its packages is started for it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from catalog.domain import detector_names, load_detector
from catalog.index import Query, Row, open_index
from catalog.settings import Settings
from tests.postgres_server import ABSENT, programs, running_postgres

SEED = 0
USERS = 16
_TASKS = ("shower-generation", "energy-regression", "particle-identification", "jet-tagging")
_FAMILIES = ("3dgan", "cvae", "flow", "diffusion", "transformer", "gnn", "mlp")
_PARTICLES = (11, -11, 22, 211, -211, 2212, 2112, 13)
_WORDS = """
fast accurate generator of showers electron photon pion hadronic electromagnetic barrel endcap test
beam prototype upgrade granular timing sampling homogeneous low energy high incident angle retrained
conditioned distilled quantised baseline reference geometry simulation
""".split()  # noqa: SIM905


def measure(quick: bool) -> dict[str, Any]:
    """`search_p95_ms` and the like: {cards: {database: ms}}."""
    figures: dict[str, Any] = {"users": USERS, "cores": os.cpu_count()}
    for cards in (2_000,) if quick else (100_000,):
        with tempfile.TemporaryDirectory() as home:
            figures |= _prefixed(
                cards, "sqlite", _of(Settings(Path(home), Path(home), "lab"), cards)
            )
        if not programs():
            figures["postgres"] = ABSENT
            continue
        with tempfile.TemporaryDirectory() as home, running_postgres() as server:
            settings = Settings(Path(home), Path(home), "lab", index=server.url())
            figures |= _prefixed(cards, "postgres", _of(settings, cards))
    return figures | {"load_before": round(os.getloadavg()[2], 1)}


def _prefixed(cards: int, database: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}_{cards // 1000}k_{database}": value for name, value in figures.items()}


def _of(settings: Settings, cards: int) -> dict[str, Any]:
    """Fill one database, then let one and 16 users search it."""
    began = time.perf_counter()
    rows = made(cards)
    with open_index(settings) as index:
        while batch := list(islice(rows, 2000)):
            index.put(*batch)
    filled = time.perf_counter() - began
    _settle(settings)
    alone, _ = _asked(settings, 1, 200)
    times, seconds = _asked(settings, USERS, 100)
    cut = statistics.quantiles(times, n=100)
    return {
        "search_p50_ms": round(cut[49], 1),
        "search_p95_ms": round(cut[94], 1),
        "search_p99_ms": round(cut[98], 1),
        "searches_per_s": round(len(times) / seconds),
        "one_user_p95_ms": round(statistics.quantiles(alone, n=100)[94], 1),
        "fill_s": round(filled),
    }


def _settle(settings: Settings) -> None:
    """What a server does by itself within minutes of a large sync: vacuum and statistics."""
    if settings.index:
        import psycopg

        with psycopg.connect(settings.index, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


def _asked(settings: Settings, users: int, each: int) -> tuple[list[float], float]:
    """Milliseconds of every search, and how long all took together."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(users + 1), context.Queue()
    people = [
        context.Process(target=_user, args=(settings, number, each, start, answers))
        for number in range(users)
    ]
    for person in people:
        person.start()
    start.wait(300)
    began = time.perf_counter()
    times = [it for _ in people for it in answers.get(timeout=600)]
    seconds = time.perf_counter() - began
    for person in people:
        person.join()
    return times, seconds


def _user(settings: Settings, number: int, each: int, start: Any, answers: Any) -> None:
    questions = list(islice(asked(random.Random(SEED + 1 + number)), each + 5))
    with open_index(settings) as index:
        times = []
        for turn, query in enumerate(questions):
            if turn == 5:  # the first ones warm caches
                start.wait(300)
            began = time.perf_counter()
            _, rows = index.search(query, settings.store)
            index.all_places(rows)
            times.append(1000 * (time.perf_counter() - began))
        answers.put(times[5:])


def made(cards: int) -> Iterator[Row]:
    """Versions of models, five of each, in two stores."""
    rng = random.Random(SEED)
    detectors = [load_detector(name) for name in detector_names()]
    for number in range(cards):
        detector, name = rng.choice(detectors), f"model-{number // 5:06}"
        low = 10 ** rng.uniform(-1, 1)
        summary = " ".join(rng.choices(_WORDS, k=10)) + f" run{rng.randrange(1000)}"
        particles = tuple(rng.sample(_PARTICLES, rng.randint(1, 3)))
        yield Row(
            "lab" if number % 10 else "cloud", name, number % 5 + 1, f"sha256:{number:064x}",
            rng.choice(_TASKS), rng.choice(_FAMILIES), detector.name, detector.type,
            low, low * 10 ** rng.uniform(0.5, 2), rng.choice(("Apache-2.0", "CC-BY-4.0", "MIT")),
            rng.random() < 0.3, summary=summary, particles=particles, materials=detector.materials,
            card=json.dumps({"summary": summary, "about": " ".join(rng.choices(_WORDS, k=150))}),
        )  # fmt: skip


def asked(rng: random.Random) -> Iterator[Query]:
    """Questions of people: browsing, one filter or several, words, and both."""
    detectors = detector_names()
    while True:
        word, other = rng.choices(_WORDS, k=2)
        energy = 10 ** rng.uniform(0, 2)
        yield rng.choice((
            Query(),
            Query(text=word),
            Query(text=f"{word} {other}"),
            Query(text=f"run{rng.randrange(1000)}"),
            Query(detector=rng.choice(("ecal", "hcal")), particle=rng.choice(_PARTICLES)),
            Query(detector=rng.choice(detectors), energy_gev=(energy, energy), text=word),
            Query(task=rng.choice(_TASKS), family=rng.choice(_FAMILIES), validated=True),
            Query(material="W", particle=11, energy_gev=(energy, 2 * energy)),
            Query(detector="ecal", text=f"{word} {other}", validated=True),
            Query(text=word[:3], task=rng.choice(_TASKS), licence="MIT"),
        ))  # fmt: skip
