"""Whether the gates pass what is right and catch what is wrong, and what all metrics cost.

Full simulation: the file or folder of CATALOG_FULLSIM, else the showers shipped with the project.
In every trial three disjoint random sets of n showers are drawn from a file: one is judged, the
other two are the full simulation that it is judged by. The judged set is left as it is, or has one
planted defect. The cost is that of validating one file of drawn showers of 6,480 voxels beside
another, in a process of its own; its throughput is per second of processor time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from catalog.domain import load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import NotFound
from catalog.physics import validate
from catalog.physics.distances import gaussian_distance
from catalog.physics.gates import Gate, floor_of, gates
from catalog.physics.jetnet_distances import by_largest, moments
from catalog.physics.observables import Observables, observe
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.showers.showerfile import open_showers
from catalog.validate import validate as validate_files

SEED = 20261
_TRIALS = 100
_FLOORS = 30  # trials that tell a floor
_SIZES = (100, 500, 2000)
_SHOWERS = 100_000
_FEWEST_LAYERS = 8
_SHIPPED = Path(__file__).parent.parent / "sample_models" / "data"
_ROOT = Path(__file__).parent.parent

Planted = Callable[[ShowerSet], ShowerSet]


def measure(quick: bool) -> dict[str, Any]:
    """The figures: cost, then how often full simulation passes and how often defects fail."""
    cost = _cost(4000 if quick else _SHOWERS)
    return {**cost, **_trust(*((10, (100,)) if quick else (_TRIALS, _SIZES)))}


def _trust(trials: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """`self_pass_rate` and `caught`: {n: {file: rate}}, which gates caught what, and the floors."""
    floors: dict[str, dict[str, Any]] = {}
    passed: dict[str, dict[str, float]] = {}
    caught: dict[str, dict[str, dict[str, float]]] = {name: {} for name in DEFECTS}
    first: dict[str, dict[str, int]] = {name: {} for name in DEFECTS}
    for name, showers in _files():
        sets = {
            "": observe(showers),
            **{d: observe(plant(showers)) for d, plant in DEFECTS.items()},
        }
        for n in sizes:
            if 3 * n > len(showers):
                continue
            found = [_trial(sets, n, trial) for trial in range(trials)]
            size = f"n{n}"
            floors.setdefault(size, {})[name] = _floors(sets[""], n, min(trials, _FLOORS))
            passed.setdefault(size, {})[name] = _rate([not t[""] for t in found])
            for defect in DEFECTS:
                rate = _rate([bool(t[defect]) for t in found])
                caught[defect].setdefault(size, {})[name] = rate
                for gate in (g for t in found for g in t[defect]):
                    first[defect][gate] = first[defect].get(gate, 0) + 1
    by = {d: sorted(found, key=lambda g: -found[g])[:3] for d, found in first.items()}
    return {
        "trials": trials,
        "self_pass_rate": passed,
        "caught": caught,
        "caught_by": by,
        "floor": floors,
    }


def _floors(full: Observables, n: int, trials: int) -> dict[str, dict[str, float]]:
    """Mean and spread of every metric between disjoint sets of full simulation, and the plain FPD.

    `fpd_plain` is the Frechet distance without the correction of its bias.
    """
    found: dict[str, list[float]] = {}
    for trial in range(trials):
        order = np.random.default_rng([SEED, n, trial]).permutation(len(full))
        one, other = (full.select(order[i * n : (i + 1) * n]) for i in range(2))
        plain = [moments(x) for x in by_largest(one.values, other.values)]
        values = {**validate.measure(one, other), "fpd_plain": gaussian_distance(*plain)}
        for metric, value in values.items():
            found.setdefault(metric, []).append(value)
    return {
        metric: {"mean": _short(np.mean(values)), "sd": _short(np.std(values, ddof=1))}
        for metric, values in found.items()
    }


def _short(value: Any) -> float:
    return float(f"{value:.3g}")


def _trial(sets: dict[str, Observables], n: int, trial: int) -> dict[str, list[str]]:
    """Names of the failed gates of the untouched and of every defective sample."""
    order = np.random.default_rng([SEED, n, trial]).permutation(len(sets[""]))
    rows, twin, reference = (order[i * n : (i + 1) * n] for i in range(3))
    wanted = sets[""].select(reference)
    floor = floor_of(sets[""].select(twin), wanted, trial)

    def failed(sample: Observables) -> list[str]:
        found: tuple[Gate, ...] = gates(sample.select(rows), wanted, floor)
        return [gate.name for gate in found if not gate.passed]

    return {name: failed(sample) for name, sample in sets.items()}


def _rate(passes: list[bool]) -> float:
    return round(float(np.mean(passes)), 3)


def _files() -> list[tuple[str, ShowerSet]]:
    """Every file that resolves depth, by name."""
    given = Path(os.environ.get("CATALOG_FULLSIM", _SHIPPED))
    paths = sorted(given.glob("*.h5")) if given.is_dir() else [given]
    if not paths:
        raise NotFound(f"{given}: no .h5 files", "set CATALOG_FULLSIM to a folder of showers")
    found = [(path.stem, read_showers(path)) for path in paths]
    return [(name, s) for name, s in found if len(s.mesh.layers) >= _FEWEST_LAYERS]


def _scaled(showers: ShowerSet, factor: NDArray[np.float64]) -> ShowerSet:
    energies = showers.energies * factor[:, None].astype(np.float32)
    return replace(showers, energies=energies)


def _response(showers: ShowerSet) -> ShowerSet:
    return _scaled(showers, np.full(len(showers), 1.05))


def _response_at_one_energy(showers: ShowerSet) -> ShowerSet:
    """A tenth too high in the middle third of the energies, right on average."""
    order = np.argsort(np.argsort(showers.incident_gev)) / len(showers)
    middle = (order > 1 / 3) & (order < 2 / 3)
    return _scaled(showers, np.where(middle, 1.10, 0.95))


def _wider_response(showers: ShowerSet) -> ShowerSet:
    """Smeared so that the relative width grows by half at every energy."""
    response = showers.energies.sum(1) / showers.incident_gev
    order = np.argsort(showers.incident_gev)
    width = np.empty(len(showers))
    for rows in np.array_split(order, 10):
        width[rows] = response[rows].std() / response[rows].mean()
    drawn = np.random.default_rng(SEED).normal(size=len(showers))
    return _scaled(showers, np.maximum(1 + np.sqrt(1.5**2 - 1) * width * drawn, 0))


def _wider(showers: ShowerSet) -> ShowerSet:
    """Every cell a tenth further from the axis."""

    def moved(layer: Layer) -> Layer:
        b = tuple(1.1 * v for v in layer.b)
        a = layer.a if layer.kind == "polar" else tuple(1.1 * v for v in layer.a)
        return replace(layer, a=a, b=b)

    return replace(showers, mesh=Mesh(tuple(moved(layer) for layer in showers.mesh.layers)))


def _deeper(showers: ShowerSet) -> ShowerSet:
    """All energy one layer further in."""
    layers = _layers(showers)
    late = np.zeros_like(layers)
    late[:, 1:] = layers[:, :-1]
    return replace(showers, energies=late.reshape(len(showers), -1))


def _layers_shuffled(showers: ShowerSet) -> ShowerSet:
    """The layers of every shower in another order, the same for all showers."""
    layers = _layers(showers)
    order = np.random.default_rng(SEED).permutation(layers.shape[1])
    return replace(showers, energies=layers[:, order].reshape(len(showers), -1))


def _layers_mixed(showers: ShowerSet) -> ShowerSet:
    """Every layer from another shower of nearly the same energy: right means, no correlations."""
    layers, rng = _layers(showers), np.random.default_rng(SEED)
    mixed = np.empty_like(layers)
    gev = showers.incident_gev
    for rows in np.array_split(np.argsort(gev), max(1, len(showers) // 10)):
        for layer in range(layers.shape[1]):
            source = rng.permutation(rows)
            scale = (gev[rows] / gev[source]).astype(np.float32)
            mixed[rows, layer] = layers[source, layer] * scale[:, None]
    return replace(showers, energies=mixed.reshape(len(showers), -1))


def _layers(showers: ShowerSet) -> NDArray[np.float32]:
    return showers.energies.reshape(len(showers), len(showers.mesh.layers), -1)


DEFECTS: dict[str, Planted] = {
    "response_5_percent": _response,
    "response_10_percent_at_one_energy": _response_at_one_energy,
    "resolution_50_percent_wider": _wider_response,
    "radius_10_percent_wider": _wider,
    "one_layer_deeper": _deeper,
    "layers_shuffled": _layers_shuffled,
    "layers_mixed_between_showers": _layers_mixed,
}


def _cost(n: int) -> dict[str, float]:
    """Time and peak memory of validating n showers beside n others, both from disk."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{seed}.h5" for seed in (SEED, SEED + 1)]
        for seed, path in enumerate(paths, SEED):
            _write(path, n, seed)
        command = [sys.executable, "-m", "benchmarks.physics", *map(str, paths)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _write(path: Path, n: int, seed: int) -> None:
    """Drawn showers in the layout of CaloChallenge 2: 45 layers, 16 sectors, 9 rings."""
    rng, depth = np.random.default_rng(seed), 0.8 * (np.arange(45) + 0.5)
    ring = np.exp(-np.arange(9) / 1.5) / 16
    with h5py.File(path, "w") as file:
        table = file.create_dataset("showers", (n, 6480), "f4", chunks=(100, 6480))
        gev = np.exp(rng.uniform(0, np.log(1000), n))
        file["incident_energies"] = 1e3 * gev[:, None]
        for rows in (slice(*edge) for edge in pairwise([*range(0, n, 1000), n])):
            peak = np.log(gev[rows]) + 5 + rng.normal(0, 0.7, len(gev[rows]))
            profile = depth ** (0.5 * peak[:, None]) * np.exp(-0.5 * depth)
            profile /= profile.sum(1, keepdims=True)
            mean = profile[:, :, None, None] * ring
            cells = mean * rng.standard_exponential((len(peak), 45, 16, 9), np.float32)
            cells *= 1e3 * gev[rows, None, None, None]
            table[rows] = np.where(cells < 0.015, 0, cells).reshape(len(peak), -1)


def _validate(fast: Path, full: Path) -> dict[str, float]:
    """What `catalog validate FAST --data FULL` does: two passes over each file, and all metrics."""
    start = time.process_time()
    asked = {"detector": load_detector("par04-siw"), "pdg": 11}
    done = validate_files(open_showers(fast, **asked), open_showers(full, **asked))
    passed = done.passed
    seconds = time.process_time() - start
    assert np.isfinite([*done.result.metrics[done.ref].values()]).all()
    showers = len(done.subject) + len(done.target)
    return {
        "showers": showers,
        "metrics_showers_per_s": round(showers / seconds),
        "validate_cpu_s": round(seconds, 1),
        "twin_passed": float(passed),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    print(json.dumps(_validate(*map(Path, sys.argv[1:]))))
