"""How much adapting gains over training from scratch, on full-simulation showers.

Three targets, each with the parent that `catalog recommend` puts first among the shipped ones that
have never seen that detector; each run is repeated on disjoint draws of showers. Scratch is the
same family with the same showers and steps and a learning rate of its own. `w1_reduction_N` =
1 - adapted / scratch. The runs are kept as evidence for the recommendation in
sample_models/evidence.jsonl.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import sample_models
from catalog.adapt.adapt import adapt
from catalog.adapt.compare import AFTER, BEFORE, SCRATCH, compare
from catalog.adapt.log import Adaptation
from catalog.adapt.recipe import default_recipe
from catalog.adapt.record import Finished, records
from catalog.pull import Pulled, read_folder
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers

SEED = 0
_HERE = Path(sample_models.__file__).parent
PARENTS = {
    "par04-siw-electron": "vae-pbwo4",
    "clic-siw-photon": "vae-pbwo4",
    "pbwo4-electron": "vae-clic-siw",
}
SHOWERS = (100, 300)
STEPS = 800


def measure(quick: bool) -> dict[str, Any]:
    """`w1_reduction_N` (median and worst target) and the table of all runs."""
    targets = list(PARENTS)[:1] if quick else list(PARENTS)
    steps, draws = (100, 1) if quick else (STEPS, 3)
    table: list[dict[str, Any]] = []
    evidence: list[Adaptation] = []
    for target in targets:
        showers = read_showers(_HERE / "data" / f"{target}.h5")
        parent = published(PARENTS[target])
        for n in SHOWERS[:1] if quick else SHOWERS:
            runs = [run(parent, rolled(showers, draw * n), n, steps, draw) for draw in range(draws)]
            table.append(row(target, PARENTS[target], n, runs))
            evidence += [record for done in runs for record in records(done)]
    if not quick:
        keep(evidence)
    figures = {f"w1_reduction_{n}": reduction(table, n) for n in SHOWERS[: 1 if quick else None]}
    return {**figures, "steps": steps, "draws": draws, "table": table}


def published(name: str) -> Pulled:
    """A shipped version, named as the demo publishes it."""
    return replace(read_folder(_HERE / "versions" / name), version=1)


def run(parent: Pulled, target: ShowerSet, n: int, steps: int, seed: int) -> Finished:
    """Adapt and train from scratch on the first n showers, compare on the rest."""
    with tempfile.TemporaryDirectory() as place:
        folder, rival = Path(place) / "adapted", Path(place) / "scratch"
        adapted = adapt(parent, target, showers=n, steps=steps, seed=seed, out=folder)
        fresh = default_recipe(parent.card.family or "", n, scratch=True)
        scratch = adapt(parent, target, showers=n, steps=steps, seed=seed, out=rival, recipe=fresh)
        gain = compare(
            parent, read_folder(folder), target, showers=n, scratch=read_folder(rival), seed=seed
        )
    return Finished(parent, target, adapted, scratch, gain)


def rolled(showers: ShowerSet, start: int) -> ShowerSet:
    """The same showers, beginning with another draw."""
    return replace(
        showers,
        energies=np.roll(showers.energies, -start, axis=0),
        incident_gev=np.roll(showers.incident_gev, -start),
        theta_rad=np.roll(showers.theta_rad, -start),
    )


def row(target: str, parent: str, n: int, runs: list[Finished]) -> dict[str, Any]:
    """One line of the table: w1_geomean as mean and spread over draws."""

    def over_draws(values: list[float]) -> dict[str, float]:
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        return {"mean": round(statistics.mean(values), 4), "sd": round(spread, 4)}

    return {
        "target": target,
        "parent": parent,
        "showers": n,
        "before": over_draws([done.gain.w1[BEFORE] for done in runs]),
        "adapted": over_draws([done.gain.w1[AFTER] for done in runs]),
        "scratch": over_draws([done.gain.w1[SCRATCH] for done in runs]),
        "floor": over_draws([done.gain.floor["w1_geomean"] for done in runs]),
    }


def reduction(table: list[dict[str, Any]], n: int) -> dict[str, float]:
    """1 - adapted / scratch over targets."""
    values = [
        1 - line["adapted"]["mean"] / line["scratch"]["mean"]
        for line in table
        if line["showers"] == n
    ]
    return {"median": round(statistics.median(values), 3), "worst": round(min(values), 3)}


def keep(evidence: list[Adaptation]) -> None:
    """Ship the runs beside the samples."""
    lines = [json.dumps(asdict(record), sort_keys=True) for record in evidence]
    (_HERE / "evidence.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
