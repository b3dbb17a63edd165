"""Every score of every source for every target, before any training. Resumable.

    python -m benchmarks.transfer.scores [--minutes M] [--sizes N ...] [--draws D ...]

Each (source, target, draw, n) is a line of CATALOG_HOME/bench-transfer/scores.jsonl: values and
processor seconds by name; higher is better. A source is asked through ONNX Runtime, at the
conditions of the draw's few showers, for some thousand showers, as `catalog recommend` does.

    names of `catalog.scoring.scores`   on observables, and `likelihood_fit` of the scorer graph
    aligned_NAME      of the same showers, with the target's line in ln E and spread per observable
    median_fit        `likelihood_fit` by medians
    aligned_*fit      of the target's showers with the source's mean share per layer and ring
    fp_*              from kept fingerprints, no model run: of training data, samples, vector
    calibrated_NAME   of showers of the source after `calibrate` (no gradient, but it needs torch)
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.transfer.pool import (
    SOURCES,
    TARGETS,
    Source,
    drawn,
    home,
    source_version,
)
from benchmarks.transfer.stored import DRAWS_OF
from catalog.adapt.family import CHECKPOINT_FILE, Plan, Running, load_family, read_checkpoint
from catalog.adapt.judge import training_data
from catalog.adapt.recipe import load_recipe
from catalog.domain.geometry import conditions, geometry_of
from catalog.fingerprint import (
    FINGERPRINT_FILE,
    Fingerprint,
    fingerprint,
    nearness,
    rank,
    read_kept,
    vector_of,
)
from catalog.generate import generate, open_session
from catalog.physics.observables import observe, observe_grid
from catalog.physics.validate import sample_model
from catalog.pull import Pulled
from catalog.scoring.aligned import aligned
from catalog.scoring.scores import SCORES, load_score
from catalog.scoring.scores.arrays import Array, closeness
from catalog.scoring.scores.likelihood_fit import at_one_energy, likelihood_fit
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from catalog.testvectors import MODEL_FILE

GENERATED, OWN = 1000, 300  # showers asked of a source; of them, those its scorer graph sees
AGAIN = ("w1_geomean", "frechet", "energy", "sliced_w1")  # scores of aligned and calibrated showers
Scored = dict[str, float]


class Clock:
    """Values by name, and the processor seconds each took."""

    def __init__(self) -> None:
        self.values: Scored = {}
        self.seconds: Scored = {}

    def note(self, name: str, score: Callable[[], float]) -> None:
        """Compute one score."""
        began = time.process_time()
        self.values[name] = round(float(score()), 5)
        self.seconds[name] = round(time.process_time() - began, 4)


def score(source: Source, used: ShowerSet, seed: int) -> Clock:
    """All scores of one source on the few showers of a draw."""
    pulled, clock = source_version(source.name), Clock()
    repeats = max(1, round(GENERATED / len(used)))
    gev = np.tile(used.incident_gev, repeats)
    theta = np.tile(used.theta_rad, repeats)
    wanted = observe(used)
    began = time.process_time()
    made = sample_model(pulled, used, gev, seed)
    clock.seconds["sample"] = round(time.process_time() - began, 4)
    for name in SCORES["showers"]:
        clock.note(name, lambda name=name: load_score(name)(made.values, wanted.values))
    moved = aligned(made.values, gev, wanted.values, used.incident_gev)
    for name in AGAIN:
        clock.note(f"aligned_{name}", lambda name=name: load_score(name)(moved, wanted.values))
    _fits(clock, pulled, used, seed)
    _fingerprints(clock, pulled, used)
    _calibrated(clock, source.family, pulled, used, (gev, theta), wanted.values)
    return clock


def _fits(clock: Clock, pulled: Pulled, used: ShowerSet, seed: int) -> None:
    """The scorer graph on the target's showers, as visible in the source's own units."""
    session = open_session(pulled.folder / "likelihood.onnx")
    told = session.get_inputs()[1].name
    names = next(spec.components for spec in pulled.card.inputs if spec.role == "condition")
    own_fraction = pulled.card.domain.detector.sampling_fraction or 1.0
    fraction = used.sampling_fraction()
    knows = "sampling_fraction" in names
    scale = 1.0 if knows else own_fraction / fraction
    where = geometry_of(used.detector, fraction)

    def asked(showers: NDArray[np.float32], gev: Array, theta: Array) -> Array:
        given = conditions(names, gev, theta, used.pdg, where)
        return np.asarray(session.run(None, {"showers": showers, told: given})[0], float)

    gev, theta = (np.resize(x, OWN) for x in (used.incident_gev, used.theta_rad))
    sampler = open_session(pulled.folder / MODEL_FILE)
    own = generate(sampler, pulled.card, gev, used.pdg, seed, theta, where)
    theirs = (used.on(PHYSICS_SHAPE) * scale).astype(np.float32)
    on_own = asked(own, gev, theta)

    def fit(showers: NDArray[np.float32], how: Callable[[Array, Array], float]) -> float:
        on_target = asked(showers, used.incident_gev, used.theta_rad)
        return how(*at_one_energy(on_target, on_own, used.incident_gev, gev))

    moved = _alike(theirs, used.incident_gev, own, gev)
    clock.note("likelihood_fit", lambda: fit(theirs, likelihood_fit))
    clock.note("median_fit", lambda: fit(theirs, median_fit))
    clock.note("aligned_fit", lambda: fit(moved, likelihood_fit))
    clock.note("aligned_median_fit", lambda: fit(moved, median_fit))


def median_fit(on_target: Array, on_own: Array) -> float:
    """`likelihood_fit` by medians: one shower that a model calls impossible decides nothing."""
    middle = float(np.median(on_own))
    spread = float(np.median(np.abs(on_own - middle))) or 1e-9
    return float(np.arcsinh((np.median(on_target) - middle) / spread))


def _alike(
    showers: NDArray[np.float32], gev: Array, own: NDArray[np.float32], own_gev: Array
) -> NDArray[np.float32]:
    """The showers with the mean energy share of `own` per layer and ring."""
    mean, wanted = (
        (x / e[:, None, None, None]).mean((0, 2), keepdims=True)
        for x, e in ((showers, gev), (own, own_gev))
    )
    ratio = np.clip((wanted + 1e-7) / (mean + 1e-7), 0.1, 10)
    return (showers * ratio).astype(np.float32)


def _fingerprints(clock: Clock, pulled: Pulled, used: ShowerSet) -> None:
    """Distances from what a version keeps; no model is run."""
    kept, target = read_kept(pulled.folder / FINGERPRINT_FILE), fingerprint(used)

    def near(part: Fingerprint | None, kind: str) -> Callable[[], float]:
        return lambda: closeness(getattr(nearness(part, target), kind)) if part else np.nan

    for name, part in (("samples", kept.samples), ("data", kept.data)):
        clock.note(f"fp_{name}_w1", near(part, "w1_geomean"))
        clock.note(f"fp_{name}_frechet", near(part, "frechet"))
    vector = vector_of(kept.samples) if kept.samples else None
    if vector is not None:
        clock.note("fp_vector", lambda: closeness(float(rank(target, vector[None])[0])))


def _calibrated(
    clock: Clock, family: str, pulled: Pulled, used: ShowerSet, beam: tuple[Array, Array],
    wanted: Array,
) -> None:  # fmt: skip
    """Scores of what the family generates with its marginal statistics set, before any step."""
    made: list[Array] = []

    def judge(grid: NDArray[np.float32]) -> float:
        shape = grid.reshape(-1, *PHYSICS_SHAPE.size)
        made.append(observe_grid(shape, beam[0], used.sampling_fraction(), beam[1]).values)
        return 0.0

    began = time.process_time()
    data = training_data(used, PHYSICS_SHAPE, beam)
    start = read_checkpoint(pulled.folder / CHECKPOINT_FILE)
    plan = Plan(load_recipe("full"), 1, 0, 2)  # what its one step does is thrown away
    load_family(family).train([data], start, plan, judge, Running())
    clock.seconds["calibrate"] = round(time.process_time() - began, 4)
    for name in AGAIN:
        clock.note(f"calibrated_{name}", lambda name=name: load_score(name)(made[0], wanted))


def wanted(sizes: list[int], draws: list[int]) -> Iterator[tuple[str, int, int, str]]:
    """(target, draw, n, source) in the order in which truth arrives."""
    for n in sizes:
        for draw in draws:
            for target in TARGETS:
                for source in SOURCES:
                    yield target.name, draw, n, source.name


def finished(path: Path) -> dict[tuple[str, int, int, str], dict[str, Any]]:
    """Lines of a file; one cut off by a crash is skipped."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        found[row["target"], row["draw"], row["showers"], row["source"]] = row
    return found


def main() -> None:
    """Score what is left of the sources that are trained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 40, 1000])
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    path = home() / "scores.jsonl"
    done = finished(path)
    sources, targets = ({each.name: each for each in group} for group in (SOURCES, TARGETS))
    with path.open("a", encoding="utf-8") as file:
        for key in wanted(asked.sizes, asked.draws):
            target, draw, n, source = key
            if (
                draw >= DRAWS_OF[n]
                or key in done
                or not (home() / "sources" / source / "card.yaml").exists()
            ):
                continue
            used = drawn(targets[target], draw)[0].part(0, n)
            clock = score(sources[source], used, draw)
            row = {"target": target, "draw": draw, "showers": n, "source": source}
            file.write(json.dumps({**row, "values": clock.values, "cpu_s": clock.seconds}) + "\n")
            file.flush()
            if time.monotonic() > end:
                break


if __name__ == "__main__":
    main()
