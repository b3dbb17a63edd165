"""Cards and questions for the benchmark of the registry."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace

from catalog.domain import detector_names, load_detector
from catalog.index import Query, Row

SEED = 0
STORE = "mlflow"  # the usual one
_TASKS = ("shower-generation", "energy-regression", "particle-identification", "jet-tagging")
_FAMILIES = ("3dgan", "cvae", "flow", "diffusion", "transformer", "gnn", "mlp")
_PARTICLES = (11, -11, 22, 211, -211, 2212, 2112, 13)
_WORDS = """
fast accurate generator of showers electron photon pion hadronic electromagnetic barrel endcap test
beam prototype upgrade granular timing sampling homogeneous low energy high incident angle retrained
conditioned distilled quantised baseline reference geometry simulation
""".split()  # noqa: SIM905


def made(cards: int) -> Iterator[Row]:
    """Versions of models, five of each, in two stores; one of fifty lies in both."""
    rng = random.Random(SEED)
    detectors = [load_detector(name) for name in detector_names()]
    for number in range(cards):
        detector, name = rng.choice(detectors), f"model-{number // 5:06}"
        low = 10 ** rng.uniform(-1, 1)
        summary = " ".join(rng.choices(_WORDS, k=10)) + f" run{rng.randrange(1000)}"
        particles = tuple(rng.sample(_PARTICLES, rng.randint(1, 3)))
        row = Row(
            STORE if number % 10 else "cloud", name, number % 5 + 1, f"sha256:{number:064x}",
            rng.choice(_TASKS), rng.choice(_FAMILIES), detector.name, detector.type,
            low, low * 10 ** rng.uniform(0.5, 2), rng.choice(("Apache-2.0", "CC-BY-4.0", "MIT")),
            rng.random() < 0.3, summary=summary, particles=particles, materials=detector.materials,
            card=json.dumps({"summary": summary, "about": " ".join(rng.choices(_WORDS, k=150))}),
        )  # fmt: skip
        yield row
        if number % 50 == 0:
            yield replace(row, store=STORE)


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


def as_parameters(query: Query) -> dict[str, str]:
    """The parameters of `GET /api/v1/models` that ask for the same."""
    window = query.energy_gev and "..".join(str(it) for it in query.energy_gev)
    told = {
        "q": query.text, "detector": query.detector, "material": query.material,
        "particle": query.particle, "energy": window, "task": query.task, "family": query.family,
        "licence": query.licence, "validated": query.validated and "true",
    }  # fmt: skip
    return {name: str(value) for name, value in told.items() if value}
