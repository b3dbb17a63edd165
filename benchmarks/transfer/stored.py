"""The stored truth: what every run reached and what every score said, in one small file.

    python -m benchmarks.transfer.stored

gathers whatever `runs` and `scores` have finished into benchmarks/truth/transfer.npz. What is
missing is NaN; gather again when there is more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.errors import NotFound
from catalog.scoring.scores.arrays import Array

FILE = Path(__file__).parent.parent / "truth" / "transfer.npz"
# Numbers of showers, and how many draws of each are adapted to.
SIZES = (40, 100, 1000)
DRAWS_OF = {40: 3, 100: 4, 1000: 3}
DRAWS = max(DRAWS_OF.values())
PROBES = (0, 10, 20, 40)  # steps of a run whose judgement is kept
_FLOAT = np.float32

Names = NDArray[np.str_]


@dataclass(frozen=True)
class Truth:
    """Axes: S sizes, T targets, D draws, M sources; higher scores are better; NaN is missing.

    reached : (S, T, D, M), w1_geomean of the adapted source on showers that no run saw
    probe : (S, T, D, M, P), w1_geomean on the choosing showers after `PROBES` steps
    run_s : (S, T, D, M), processor seconds of a run
    scratch : (S, T, D, 2), w1_geomean of scratch at two settings
    scores : (S, T, D, M, F), and what each costs, seconds_of (F,)
    n_train, parameters, self_w1 : (M,), of sources;  source_geometry : (M, 5)
    target_geometry : (T, 5);  floor : (S, T, D), between two halves of a draw's own showers
    source_detector, family, target_detector : what splits go by;  full : (T,), full simulation
    source_pdg, target_pdg : (M,) and (T,), PDG id; 0 if trained on electrons and photons
    """

    sources: Names
    family: Names
    source_detector: Names
    source_pdg: NDArray[np.int64]
    n_train: Array
    parameters: Array
    self_w1: Array
    source_geometry: Array
    targets: Names
    target_detector: Names
    target_pdg: NDArray[np.int64]
    full: NDArray[np.bool_]
    target_geometry: Array
    floor: Array
    names: Names
    seconds_of: Array
    reached: Array
    probe: Array
    run_s: Array
    scratch: Array
    scores: Array

    @property
    def draws(self) -> range:
        """Positions of the axis D."""
        return range(self.reached.shape[2])


@cache
def load(path: Path = FILE) -> Truth:
    """Read the stored truth.

    Raises
    ------
    NotFound
    """
    if not path.is_file():
        raise NotFound(
            f"{path}: no stored truth", "gather it: python -m benchmarks.transfer.stored"
        )
    with np.load(path) as file:
        found = {each.name: file[each.name] for each in fields(Truth)}
    wide = {key: x.astype(np.float64) for key, x in found.items() if x.dtype == _FLOAT}
    return Truth(**{**found, **wide})


def save(truth: Truth, path: Path = FILE) -> None:
    """Write it; numbers to four digits, so that it packs well."""
    path.parent.mkdir(exist_ok=True)
    made = {each.name: getattr(truth, each.name) for each in fields(Truth)}
    packed = {k: _short(x) if x.dtype == np.float64 else x for k, x in made.items()}
    np.savez_compressed(path, **packed)


def _short(values: Array) -> NDArray[np.float32]:
    """Twelve bits of mantissa, 1e-4: far below any noise of a draw."""
    bits = values.astype(_FLOAT).view(np.uint32)
    kept = (bits + np.uint32(1 << 10)) & np.uint32(0xFFFFF800)
    rounded = np.where(np.isfinite(values), kept, bits).astype(np.uint32)
    return rounded.view(_FLOAT)


def gather(runs: Iterable[dict[str, Any]], scores: Iterable[dict[str, Any]]) -> Truth:
    """All finished runs and scores as arrays, and what is known of sources and targets."""
    ends = {**_of_sources(), **_of_targets()}
    return Truth(**arranged(runs, scores, list(ends["sources"]), list(ends["targets"])), **ends)


def arranged(
    runs: Iterable[dict[str, Any]],
    scores: Iterable[dict[str, Any]],
    sources: list[str],
    targets: list[str],
) -> dict[str, Any]:
    """Lines of both files at their places; runs that failed are left out."""
    scores = list(scores)
    names = sorted({name for row in scores for name in row["values"]})
    shape = (len(SIZES), len(targets), DRAWS, len(sources))
    empty = {
        "reached": np.full(shape, np.nan),
        "probe": np.full((*shape, len(PROBES)), np.nan),
        "run_s": np.full(shape, np.nan),
        "scratch": np.full((*shape[:3], 2), np.nan),
        "scores": np.full((*shape, len(names)), np.nan),
    }
    for run in (run for run in runs if "reached" in run):
        cell = (SIZES.index(run["showers"]), targets.index(run["target"]), run["draw"])
        if not run["source"]:
            empty["scratch"][(*cell, int(run["steps"] > 150))] = run["reached"]
            continue
        place = (*cell, sources.index(run["source"]))
        empty["reached"][place], empty["run_s"][place] = run["reached"], run["cpu_s"]
        curve = dict(map(tuple, run["curve"]))
        empty["probe"][place] = [curve.get(step, np.nan) for step in PROBES]
    spent: dict[str, list[float]] = {name: [] for name in names}
    for row in scores:
        cell = (SIZES.index(row["showers"]), targets.index(row["target"]), row["draw"])
        for name, value in row["values"].items():
            empty["scores"][(*cell, sources.index(row["source"]), names.index(name))] = value
            spent[name].append(_seconds(name, row["cpu_s"]))
    seconds = np.array([np.median(spent[name]) for name in names])
    return {**empty, "names": np.array(names), "seconds_of": seconds}


def _seconds(name: str, spent: dict[str, float]) -> float:
    """What a score costs alone: with the samples that it needs."""
    if name.startswith("fp_"):
        return spent[name]
    made = spent["calibrate"] if name.startswith("calibrated_") else spent["sample"]
    return made + spent[name]


def _of_sources() -> dict[str, Any]:
    from benchmarks.transfer.pool import SOURCES, home, source_version
    from catalog.adapt.family import CHECKPOINT_FILE, read_checkpoint
    from catalog.fingerprint import FINGERPRINT_FILE, nearness, read_kept

    rows = []
    for source in SOURCES:
        row = [np.nan, np.nan, np.nan, np.full(5, np.nan)]
        if (home() / "sources" / source.name / "card.yaml").exists():
            pulled = source_version(source.name)
            kept = read_kept(pulled.folder / FINGERPRINT_FILE)
            start = read_checkpoint(pulled.folder / CHECKPOINT_FILE)
            near = nearness(kept.samples, kept.data).w1_geomean
            count = sum(x.size for x in start.weights.values())
            trained = pulled.card.training
            row = [trained.showers, count, near, _geometry(pulled.card.domain.detector)]
        rows.append(row)
    n_train, parameters, self_w1, geometry = (list(x) for x in zip(*rows, strict=True))
    return {
        "sources": np.array([s.name for s in SOURCES]),
        "family": np.array([s.family for s in SOURCES]),
        "source_detector": np.array([",".join(s.detectors) for s in SOURCES]),
        "source_pdg": np.array([s.pdg if s.detectors else 0 for s in SOURCES]),
        "n_train": np.array(n_train, float),
        "parameters": np.array(parameters, float),
        "self_w1": np.array(self_w1, float),
        "source_geometry": np.array(geometry, float),
    }


def _of_targets() -> dict[str, Any]:
    from benchmarks.transfer.pool import TARGETS, drawn
    from catalog.physics.distances import w1_geomean
    from catalog.physics.observables import observe

    geometry, floor = [], np.full((len(SIZES), len(TARGETS), DRAWS), np.nan)
    for t, target in enumerate(TARGETS):
        for draw in range(DRAWS):
            few, _ = drawn(target, draw)
            for s, n in enumerate(SIZES):
                values = observe(few.part(0, n)).values
                floor[s, t, draw] = w1_geomean(values[: n // 2], values[n // 2 :])
        geometry.append(_geometry(few.detector, few.sampling_fraction()))
    return {
        "targets": np.array([t.name for t in TARGETS]),
        "target_detector": np.array([t.name for t in TARGETS]),
        "target_pdg": np.array([t.pdg for t in TARGETS]),
        "full": np.array([bool(t.file) for t in TARGETS]),
        "target_geometry": np.array(geometry, float),
        "floor": floor,
    }


def _geometry(detector: Any, fraction: float | None = None) -> Array:
    from catalog.domain.geometry import GEOMETRY, geometry_of

    found = geometry_of(detector, fraction or detector.sampling_fraction or 1.0)
    return np.array([getattr(found, name) or np.nan for name in GEOMETRY], float)


def main() -> None:
    """Gather, write, and say how much there is."""
    from benchmarks.transfer.pool import home

    rows = [_lines(home() / f"{name}.jsonl") for name in ("runs", "scores")]
    truth = gather(*rows)
    save(truth)
    for s, n in enumerate(SIZES):
        got, scored = (np.isfinite(x[s]).sum() for x in (truth.reached, truth.scores[..., 0]))
        print(f"n = {n}: {got} runs and {scored} scored of {truth.reached[s].size}")
    print(f"{FILE.stat().st_size / 1e3:.0f} kB")


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:  # cut off by a crash
            continue
    return found


if __name__ == "__main__":
    main()
