"""How much adapting gains over training from scratch, on full-simulation showers.

Every target is adapted to from the parent that comes first by the zero-shot ranks of
`catalog recommend`, among the sample models that have never seen that detector and are of the
family that adapts best (catalog/adapt/defaults.yaml). Each run is
repeated on three draws (random orders of the file), and judged on showers that it has not seen.

`w1_reduction_N` = 1 - adapted / scratch of the same family with the same showers, steps and rates;
`w1_reduction_N_tuned` compares with the best scratch that a grid of families, rates and steps
found, chosen on the very showers it is judged on: scratch at more than its best. Each is the median
and the worst over targets. `recipes`: every recipe against n on one target.

CATALOG_FULLSIM=FOLDER takes the showers from there; the shipped files are too small for 1,000 on
every target. Finished runs are kept in CATALOG_HOME/bench-adapt.jsonl: a run that was stopped goes
on. The runs of the default recipes are evidence for recommending (sample_models/evidence.jsonl).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

import sample_models
from catalog.adapt.adapt import adapt, unseen
from catalog.adapt.compare import AFTER, BEFORE, SCRATCH, compare
from catalog.adapt.recipe import best_family, default_recipe, load_recipe, measured
from catalog.adapt.record import Finished, records
from catalog.compat import MIN_SHOWERS, cannot_adapt
from catalog.errors import UsageError
from catalog.physics.distances import w1_geomean
from catalog.physics.observables import observe
from catalog.physics.validate import sample_model
from catalog.pull import Pulled, read_folder
from catalog.scoring.probe import zero_shot
from catalog.seen import refuse_seen
from catalog.settings import load_settings
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers

SEED = 0
TARGETS = ("par04-siw-electron", "clic-siw-photon", "pbwo4-electron")
SHOWERS = (100, 1000)
DRAWS = 3


@dataclass(frozen=True)
class Table:
    """Recipes of one family against the number of showers; steps and rate None: as measured."""

    recipes: tuple[str, ...]
    showers: tuple[int, ...]
    steps: int | None = None
    rate: float | None = None


# Of the parent of the first target, then of families that take a CPU longer.
_OWN = Table(("full", "l2sp", "lora", "bitfit", "heads", "top-2", "scratch"), (30, 100, 300, 1000))
TABLES = {
    "flow-pbwo4": Table(("full", "scratch"), (30, 100, 300), 300, 2e-3),
    "3dgan-ild-siw": Table(("full", "few-shot-gan", "scratch"), (100,), 20),
}
# (rate, steps) of scratch, tried at every n
GRID = ((1e-3, 400), (4e-3, 150), (4e-3, 600), (1.6e-2, 200))
_HERE = Path(sample_models.__file__).parent
_READ = 4000  # showers of a file that are read at most


@dataclass(frozen=True)
class Job:
    """One run. recipe "": the default, with its default scratch rival beside it (evidence)."""

    target: str
    parent: str
    showers: int
    draw: int
    recipe: str = ""
    rate: float | None = None
    steps: int | None = None


def measure(quick: bool) -> dict[str, Any]:
    """Reductions (median and worst target), the table of recipes, and all runs."""
    targets = TARGETS[:1] if quick else TARGETS
    draws = 1 if quick else DRAWS
    sizes = (100,) if quick else SHOWERS
    parents = {target: first_ranked(target) for target in targets}
    pairs = [
        Job(target, parents[target], n, draw, steps=20 if quick else None)
        for target in targets
        for n in sizes
        if n + 2 * MIN_SHOWERS <= len(showers_of(target))
        for draw in range(draws)
    ]
    done = carry_out([*pairs, *(job for pair in pairs for job in rivals(pair, quick))])
    found: dict[str, Any] = {"draws": draws, "parents": parents}
    lines = [row(pair, done, quick) for pair in pairs if pair.draw == 0]
    for n in sizes:
        here = [line for line in lines if line["showers"] == n]
        if here:
            found[f"w1_reduction_{n}"] = reduction(here, "same_rate")
            found[f"w1_reduction_{n}_tuned"] = reduction(here, "tuned")
    found["table"] = lines
    if not quick:
        found["recipes"] = recipes(parents[TARGETS[0]])
        for parent, table in TABLES.items():
            found["recipes"] += recipes(parent, table)
        keep(record for pair in pairs for record in done[pair]["evidence"])
    return found


def first_ranked(target: str) -> str:
    """The sample model that the zero-shot ranks put first, of those that never saw `target`."""
    showers, family = showers_of(target).part(0, 200), best_family(SHOWERS[0])
    reference, found = observe(showers).values, {}
    for folder in sorted(path.parent for path in _HERE.glob("versions/*/card.yaml")):
        pulled = published(folder.name)
        if (
            pulled.card.family != family
            or cannot_adapt(pulled.card, showers)
            or _saw(pulled, target)
        ):
            continue
        found[folder.name] = zero_shot(pulled, showers, reference)
    ranks = rankdata(np.array(list(found.values())), axis=0).mean(1)
    return list(found)[int(np.argmin(ranks))]


def _saw(pulled: Pulled, target: str) -> bool:
    try:
        refuse_seen({pulled.ref: pulled}, showers_of(target), 0, "")
    except UsageError:
        return True
    return False


def rivals(pair: Job, quick: bool) -> list[Job]:
    """Scratch runs beside an adaptation: with its own rate and steps, and the grid."""
    family = published(pair.parent).card.family or ""
    used = measured(default_recipe(family, pair.showers), family, pair.showers)
    same = replace(pair, recipe="scratch", rate=used.backbone_lr, steps=pair.steps or used.steps)
    if quick:
        return [same]
    return [same, *(replace(same, rate=rate, steps=steps) for rate, steps in GRID)]


def carry_out(jobs: Iterable[Job]) -> dict[Job, dict[str, Any]]:
    """Run what is not kept already, one process per core."""
    kept = load_settings().home / "bench-adapt.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {
        Job(**row["job"]): row["found"]
        for row in rows
        if row["model"] == _model(row["job"]["parent"])
    }
    wanted = [job for job in dict.fromkeys(jobs) if job not in done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as pool, kept.open("a") as file:
        for future in as_completed([pool.submit(one, job) for job in wanted]):
            job, found = future.result()
            done[job] = found
            line = {"model": _model(job.parent), "job": asdict(job), "found": found}
            file.write(json.dumps(line) + "\n")
            file.flush()
    return done


def _model(parent: str) -> str:
    """What a kept run belongs to: its parent as it is now."""
    folder = _HERE / "versions" / parent
    return published(parent).digest if folder.is_dir() else ""


def one(job: Job) -> tuple[Job, dict[str, Any]]:
    """Carry out one job in a process of its own."""
    parent, target = published(job.parent), drawn(showers_of(job.target), job.draw)
    if not job.recipe:
        return job, pair_of_runs(parent, target, job)
    family = parent.card.family or ""
    recipe = measured(load_recipe(job.recipe), family, job.showers)
    if job.rate is not None:
        recipe = recipe.model_copy(update={"backbone_lr": job.rate})
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        run = adapt(
            parent, target, showers=job.showers, out=out, recipe=recipe, steps=job.steps,
            seed=job.draw,
        )  # fmt: skip
        w1 = reached(read_folder(out), unseen(target, job.showers), job.draw)
    return job, {"w1": w1, "share": run.run.share, "seconds": run.seconds}


def pair_of_runs(parent: Pulled, target: ShowerSet, job: Job) -> dict[str, Any]:
    """The default recipe and its default scratch rival, as `catalog adapt` makes and logs them."""
    n, seed = job.showers, job.draw
    with tempfile.TemporaryDirectory() as place:
        folder, rival = Path(place) / "adapted", Path(place) / "scratch"
        run = adapt(parent, target, showers=n, seed=seed, out=folder, steps=job.steps)
        fresh = default_recipe(parent.card.family or "", n, scratch=True)
        other = adapt(
            parent, target, showers=n, seed=seed, out=rival, recipe=fresh, steps=job.steps
        )
        scratch = read_folder(rival)
        gain = compare(parent, read_folder(folder), target, showers=n, scratch=scratch, seed=seed)
    done = Finished(parent, target, run, other, gain)
    return {
        "before": gain.w1[BEFORE],
        "w1": gain.w1[AFTER],
        "scratch": gain.w1[SCRATCH],
        "floor": gain.floor["w1_geomean"],
        "seconds": run.seconds,
        "evidence": [asdict(record) for record in records(done)],
    }


def reached(model: Pulled, rest: ShowerSet, seed: int) -> float:
    """w1_geomean at the conditions of one half of the unseen showers, against the other half."""
    half = len(rest) // 2
    twin, reference = rest.part(0, half), observe(rest.part(half, 2 * half))
    return w1_geomean(sample_model(model, twin, twin.incident_gev, seed).values, reference.values)


@lru_cache(maxsize=3)
def showers_of(target: str) -> ShowerSet:
    """The target's file, from CATALOG_FULLSIM if that is set."""
    folder = Path(os.environ.get("CATALOG_FULLSIM", _HERE / "data"))
    return read_showers(folder / f"{target}.h5", limit=_READ)


@lru_cache
def published(name: str) -> Pulled:
    """A sample model, named as the demo publishes it."""
    return replace(read_folder(_HERE / "versions" / name), version=1)


def drawn(showers: ShowerSet, draw: int) -> ShowerSet:
    """The same showers in another order; draw 0 is that of the file."""
    order = np.arange(len(showers))
    if draw:
        order = np.random.default_rng([SEED, draw]).permutation(len(showers))
    return replace(
        showers,
        energies=showers.energies[order],
        incident_gev=showers.incident_gev[order],
        theta_rad=showers.theta_rad[order],
    )


def row(pair: Job, done: dict[Job, dict[str, Any]], quick: bool) -> dict[str, Any]:
    """One line of the table: w1_geomean as mean and spread over draws."""
    pairs = [job for job in done if replace(job, draw=0) == pair and not job.recipe]
    line: dict[str, Any] = {
        "target": pair.target, "parent": pair.parent, "showers": pair.showers
    }  # fmt: skip
    for name, key in (("before", "before"), ("adapted", "w1"), ("floor", "floor")):
        line[name] = over_draws([done[job][key] for job in pairs])
    tried = {
        (job.rate, job.steps): over_draws([done[replace(job, draw=p.draw)]["w1"] for p in pairs])
        for job in rivals(pair, quick)
    }
    same = rivals(pair, quick)[0]
    line["same_rate"] = tried[same.rate, same.steps]
    default = over_draws([done[job]["scratch"] for job in pairs])
    best = min([*tried, None], key=lambda key: (tried[key] if key else default)["mean"])
    line["tuned"] = tried[best] if best else default
    line["tuned_rate_steps"] = list(best) if best else "default"
    return line


def over_draws(values: list[float]) -> dict[str, float]:
    """Mean and spread."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.mean(values), 4), "sd": round(spread, 4)}


def reduction(lines: list[dict[str, Any]], rival: str) -> dict[str, float]:
    """1 - adapted / rival over targets."""
    values = [1 - line["adapted"]["mean"] / line[rival]["mean"] for line in lines]
    return {"median": round(statistics.median(values), 3), "worst": round(min(values), 3)}


def recipes(parent: str, table: Table = _OWN) -> list[dict[str, Any]]:
    """Every recipe against n on the first target, all for as many steps."""
    family = published(parent).card.family or ""
    most = len(showers_of(TARGETS[0])) - 2 * MIN_SHOWERS
    names = [(name, n) for name in table.recipes for n in table.showers if n <= most]
    jobs = {
        (name, n): [
            Job(
                TARGETS[0], parent, n, draw, name, table.rate,
                table.steps or default_recipe(family, n).steps,
            )
            for draw in range(DRAWS)
        ]
        for name, n in names
    }  # fmt: skip
    done = carry_out(job for some in jobs.values() for job in some)
    return [
        {
            "family": family,
            "recipe": name,
            "showers": n,
            "share": round(done[jobs[name, n][0]]["share"], 3),
            "w1": over_draws([done[job]["w1"] for job in jobs[name, n]]),
        }
        for name, n in names
    ]


def keep(evidence: Iterable[dict[str, Any]]) -> None:
    """Ship the runs beside the samples, each on the shipped part of its file.

    So that whoever asks about a shipped file is not told what was learned from the same showers.
    """
    lines = [
        json.dumps({**record, "target_digest": _shipped(record["target"])}, sort_keys=True)
        for record in evidence
    ]
    (_HERE / "evidence.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


@lru_cache
def _shipped(target: str) -> str:
    return read_showers(_HERE / "data" / f"{target}.h5", limit=1).digest
