"""The truth: every source adapted to every target for real, and scratch beside it. Resumable.

    python -m benchmarks.transfer.runs [--minutes M] [--processes P]

Each finished run is a line of CATALOG_HOME/bench-transfer/runs.jsonl; repeat the command to go on.
The recipe is fixed: everything trains, for as many steps whatever the number of showers; a quarter
of the showers chooses the step. What a run reached is w1_geomean on `TEST` showers that no run of
any draw sees.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.transfer.pool import SOURCES, TARGETS, drawn, home, make_source, source_version
from benchmarks.transfer.stored import DRAWS_OF
from catalog.adapt.family import (
    CHECKPOINT_FILE,
    Checkpoint,
    Family,
    Plan,
    Running,
    TrainingData,
    load_family,
    read_checkpoint,
)
from catalog.adapt.judge import make_judge, training_data
from catalog.adapt.recipe import load_recipe
from catalog.errors import CatalogError
from catalog.showers import PHYSICS_SHAPE, ShowerSet

SIZES = (100, 40, 1000)
# Everything trains, for 200 steps: (learning rate, batch) of each family.
STEPS = 200
RECIPE = {"cvae": (4e-3, 64), "flow": (2e-3, 32)}
CHOOSE, ASKED = 0.25, 150  # share of showers that choose the step; showers they are judged by
# Scratch is tuned: the better of these rates, each for these steps, as the truth says.
SCRATCH = ((4e-3, 150), (4e-3, 400))


@dataclass(frozen=True)
class Run:
    """One fine-tune; source "" is scratch of `family` with `rate` and `steps`."""

    target: str
    draw: int
    showers: int
    source: str
    family: str
    rate: float
    steps: int = STEPS


def wanted() -> Iterator[Run]:
    """All runs, those that make a whole table of one size first."""
    for showers in SIZES:
        for draw in range(DRAWS_OF[showers]):
            for target in TARGETS:
                for source in SOURCES:
                    rate = RECIPE[source.family][0]
                    yield Run(target.name, draw, showers, source.name, source.family, rate)
                for rate, steps in SCRATCH:
                    yield Run(target.name, draw, showers, "", "cvae", rate, steps)


def carry_out(run: Run) -> dict[str, Any]:
    """Adapt, and judge on the test showers."""
    began = time.process_time()
    target = next(t for t in TARGETS if t.name == run.target)
    few, test = drawn(target, run.draw)
    used = few.part(0, run.showers)
    start = _start(run, used)
    family = load_family(run.family)
    cut = len(used) - max(5, round(CHOOSE * len(used)))
    beam, judge = make_judge(used.part(cut), PHYSICS_SHAPE, ASKED)
    data = training_data(used.part(0, cut), PHYSICS_SHAPE, beam)
    recipe = load_recipe("full" if run.source else "scratch")
    recipe = recipe.model_copy(update={"backbone_lr": run.rate})
    plan = Plan(recipe, run.steps, run.draw, min(RECIPE[run.family][1], run.showers))
    try:
        done = family.train([data], start, plan, judge, Running())
    except CatalogError as exc:
        return {**asdict(run), "failed": exc.message}
    spent = round(time.process_time() - began, 2)
    return {
        **asdict(run),
        "reached": round(_judged(family, done.checkpoint, data, test), 5),
        "best": done.best,
        "curve": [[at.step, round(at.score, 4)] for at in done.curve],
        "cpu_s": spent,
    }


def _start(run: Run, used: ShowerSet) -> Checkpoint:
    if run.source:
        return read_checkpoint(source_version(run.source).folder / CHECKPOINT_FILE)
    return Checkpoint(run.family, load_family(run.family).fresh([used]), {})


def _judged(family: Family, made: Checkpoint, data: TrainingData, test: ShowerSet) -> float:
    """w1_geomean of what a model generates at the conditions of the test showers."""
    beam, judge = make_judge(test, PHYSICS_SHAPE, len(test))
    asked = replace(data, judge_gev=beam[0], judge_theta_rad=beam[1])
    found: list[float] = []

    def note(generated: NDArray[np.float32]) -> float:
        found.append(judge(generated))
        return found[-1]

    # A model is judged before its first step; what that step does is thrown away.
    still = load_recipe("full").model_copy(update={"calibrate": False})
    family.train([asked], made, Plan(still, 1, 0, 2), note, Running())
    return found[0]


def finished(path: Path) -> dict[Run, dict[str, Any]]:
    """Runs of a file; a line cut off by a crash is skipped."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        keys = Run.__dataclass_fields__
        found[Run(**{key: document[key] for key in keys})] = document
    return found


def main() -> None:
    """Train the sources that are missing, then carry out what is left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.processes, context) as workers:
        for source, _ in zip(SOURCES, workers.map(make_source, SOURCES), strict=True):
            print(source.name, flush=True)
    path = home() / "runs.jsonl"
    done = finished(path)
    left = [run for run in wanted() if run not in done]
    print(f"{len(done)} runs are there, {len(left)} left", flush=True)
    with ProcessPoolExecutor(asked.processes, context) as workers, path.open("a") as file:
        waiting, queue = set(), iter(left)
        while time.monotonic() < end:
            while len(waiting) < 2 * asked.processes and (run := next(queue, None)):
                waiting.add(workers.submit(carry_out, run))
            if not waiting:
                break
            future = next(as_completed(waiting))
            waiting.discard(future)
            file.write(json.dumps(future.result()) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
