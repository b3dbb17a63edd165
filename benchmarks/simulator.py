"""How far the parametrised simulation is from full simulation, per file and energy, and its speed.

Full simulation: the file or folder of CATALOG_FULLSIM, else the showers shipped with the project.
The same energies are simulated again, in the detector of the vocabulary that has the file's layer
stack, into the file's own cells, with its threshold (its smallest cell). Nothing is fitted here.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector, detector_names, load_detector
from catalog.errors import NotFound
from catalog.physics.distances import w1_geomean
from catalog.physics.observables import observe
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from catalog.showers.geometry import grid
from catalog.showers.reader import read_showers
from catalog.simulate.beam import HADRONS, Beam, draw_beam
from catalog.simulate.run import simulate

SEED = 20261
_BINS = 3  # of ln E; a file of 2000 showers has some 650 in each
_REPEAT = 4  # simulated showers per full-simulation shower
_DEPTHS = slice(2, 15)  # X0, where the mean profile is compared
_WIDE = slice(1, 20)
_FEWEST_LAYERS = 8  # a detector with fewer does not resolve depth: its layers are compared
Array = NDArray[np.float64]


def measure(quick: bool) -> dict[str, Any]:
    """Deviations by file and energy, and showers per second of one process."""
    files = full_simulation()
    figures: dict[str, Any] = {"full_simulation": [path.stem for path in files]}
    for path in files:
        truth = read_showers(path, limit=600 if quick else None)
        for name, values in compare_file(truth).items():
            figures[f"{path.stem} {name}"] = values
    figures["showers_per_s"] = speed(200 if quick else 1000)
    return figures


def table(figures: dict[str, Any]) -> str:
    """The figures as the Markdown table of docs/simulate.md."""
    lines = [
        "| full simulation | profile, 2-15 X0 (worst at, noise) | 1-20 X0 (worst at, noise) "
        "| within 1 / 2 R_M, points | response | resolution | w1 / floor | showers/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, f in figures.items():
        if not isinstance(f, dict):
            continue
        distance = f"{f['w1_geomean']:.2f} / {f['w1_floor']:.2f}" if "w1_geomean" in f else "-"
        lines.append(
            f"| {name} | {f['longitudinal_max_dev']:.1%} ({f['longitudinal_at']}, "
            f"{f['longitudinal_noise']:.1%}) | {f['longitudinal_1_20_dev']:.0%} "
            f"({f['longitudinal_1_20_at']}, {f['longitudinal_1_20_noise']:.0%}) "
            f"| {f['contain_1rm_dev']:+.1f} / {f['contain_2rm_dev']:+.1f} "
            f"| {f['response_dev']:+.1%} "
            f"| {f['resolution_dev']:+.0%} of {f['resolution_full']:.1%} ± "
            f"{f['resolution_noise']:.0%} "
            f"| {distance} | {f['showers_per_s']:.0f} |"
        )
    return "\n".join(lines)


def full_simulation() -> list[Path]:
    """The files to compare with."""
    asked = os.environ.get("CATALOG_FULLSIM")
    place = Path(asked or Path(__file__).parent.parent / "sample_models" / "data")
    found = [place] if place.is_file() else sorted(place.glob("*.h5"))
    if not found:
        raise NotFound(f"{place}: no shower files", "set CATALOG_FULLSIM to a file or a folder")
    return found


def compare_file(truth: ShowerSet) -> dict[str, dict[str, Any]]:
    """Deviations in bins of ln E, by the bin's geometric mean energy."""
    truth = replace(truth, detector=known_detector(truth.detector))
    energy = truth.incident_gev
    edges = np.exp(np.linspace(np.log(energy.min()), np.log(energy.max()) + 1e-9, _BINS + 1))
    out = {}
    for i in range(_BINS):
        chosen = np.flatnonzero((energy >= edges[i]) & (energy < edges[i + 1]))
        part = _select(truth, chosen)
        mean = float(np.exp(np.log(part.incident_gev).mean()))
        start = time.process_time()
        made = again(part, SEED + i)
        rate = len(made) / (time.process_time() - start)
        out[f"{mean:.3g} GeV"] = {**deviations(part, made), "showers_per_s": _round(rate, 0)}
    return out


def known_detector(detector: Detector) -> Detector:
    """The detector of the vocabulary with the same stack: it has the shower parameters.

    Raises
    ------
    NotFound
        No such detector.
    """
    for name in (detector.name, *detector_names()):
        known = load_detector(name) if name in detector_names() else None
        if known and known.stack and known.response.source and _same(known, detector):
            return known
    raise NotFound(
        f"no detector of the vocabulary has the stack of {detector.name!r}",
        "add one to catalog/domain/detectors with its shower parameters",
    )


def _same(a: Detector, b: Detector) -> bool:
    """The same stack and readout; a file may not tell its sampling fraction."""
    scales = ((a.x0_mm, b.x0_mm), (a.rm_mm, b.rm_mm), (a.depth_mm, b.depth_mm))
    f, g = a.sampling_fraction, b.sampling_fraction
    return (
        all(x and y and abs(x / y - 1) < 0.005 for x, y in scales)
        and a.readout_layers == b.readout_layers
        and (a.cell_mm is None or b.cell_mm is None or np.allclose(a.cell_mm, b.cell_mm))
        and (f is None or g is None or abs(f / g - 1) < 0.1)
    )


def again(truth: ShowerSet, seed: int) -> ShowerSet:
    """The same energies and angles, simulated; impact uniform in the central cell."""
    n = len(truth) * _REPEAT
    layers = truth.mesh.layers
    width = min(np.diff(x.b).min() for x in layers), min(np.diff(x.a).min() for x in layers)
    rng = np.random.default_rng(seed)
    impact = (rng.random((n, 2)) - 0.5) * width
    energy, theta = np.tile(truth.incident_gev, _REPEAT), np.tile(truth.theta_rad, _REPEAT)
    made = simulate(truth.detector, truth.mesh, Beam(truth.pdg, energy, theta, impact), seed)
    threshold = float(truth.energies[truth.energies > 0].min())
    energies = np.where(made.energies < threshold, np.float32(0), made.energies)
    return replace(made, energies=energies)


def deviations(truth: ShowerSet, made: ShowerSet) -> dict[str, Any]:
    """The figures of one energy; relative, containment in points of a per cent.

    A noise is the statistical error of full simulation alone, where the profile is worst.
    """
    profile_t, error, radial_t = _profiles(truth)
    profile_m, _, radial_m = _profiles(made)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = profile_m / profile_t - 1
        noise = error / profile_t
    worst, at = _worst(relative, profile_t, _DEPTHS)
    wide, wide_at = _worst(relative, profile_t, _WIDE)
    response_t, resolution_t, resolution_error = _response(truth)
    response_m, resolution_m, _ = _response(made)
    return {
        "n": len(truth),
        "longitudinal_max_dev": _round(abs(relative[worst])),
        "longitudinal_at": at,
        "longitudinal_noise": _round(noise[worst]),
        "longitudinal_1_20_dev": _round(abs(relative[wide])),
        "longitudinal_1_20_at": wide_at,
        "longitudinal_1_20_noise": _round(noise[wide]),
        "contain_1rm_dev": _round(100 * (radial_m[1] - radial_t[1]), 2),
        "contain_2rm_dev": _round(100 * (radial_m[3] - radial_t[3]), 2),
        "response_dev": _round(response_m / response_t - 1),
        "resolution_dev": _round(resolution_m / resolution_t - 1),
        "resolution_noise": _round(resolution_error),
        "resolution_full": _round(resolution_t, 4),
        "hadron": truth.pdg in HADRONS,
        **_distance(truth, made),
    }


def _worst(relative: Array, profile: Array, depths: slice) -> tuple[int, str]:
    """Where the profile deviates most, by index and in words."""
    if len(profile) < _FEWEST_LAYERS:
        layer = int(np.argmax(np.where(profile > 0.05, np.abs(relative), 0)))
        return layer, f"layer {layer}"
    worst = depths.start + int(np.argmax(np.abs(relative[depths])))
    return worst, f"{worst + 0.5} X0"


def _distance(truth: ShowerSet, made: ShowerSet) -> dict[str, float]:
    """The catalog's own distance over all observables, beside full against full simulation."""
    if len(truth.mesh.layers) < _FEWEST_LAYERS:
        return {}
    reference, sample = observe(truth).values, observe(made.part(0, len(truth))).values
    half = len(reference) // 2
    return {
        "w1_geomean": _round(w1_geomean(sample[:half], reference[half:])),
        "w1_floor": _round(w1_geomean(reference[:half], reference[half:])),
    }


def _profiles(showers: ShowerSet) -> tuple[Array, Array, Array]:
    """Mean share of the energy per X0 (or per layer), its error, and within 0.5, 1 .. 2.5 R_M."""
    total = showers.energies.sum(dtype=np.float64)
    on_shape = showers.on(PHYSICS_SHAPE).astype(np.float64)
    if len(showers.mesh.layers) < _FEWEST_LAYERS:
        cells = np.cumsum([0, *(layer.cells for layer in showers.mesh.layers)])[:-1]
        depth = np.add.reduceat(showers.energies.astype(np.float64), cells, axis=1)
    else:
        depth = on_shape.sum((2, 3))
    n = len(showers)
    error = depth.std(0) * np.sqrt(n) / total
    return depth.sum(0) / total, error, np.cumsum(on_shape.sum((0, 1, 2))) / total


def _response(showers: ShowerSet) -> tuple[float, float, float]:
    """Mean visible over incident energy; c of sigma/E = c / sqrt(E/GeV), and its relative error."""
    response = showers.energies.sum(1, dtype=np.float64) / showers.incident_gev
    mean = float(response.mean())
    # The slope with ln E (leakage, threshold) is no resolution.
    log_e = np.log(showers.incident_gev)
    fit = np.polyval(np.polyfit(log_e, response, 1), log_e)
    pull = (response - fit) / mean * np.sqrt(showers.incident_gev)
    spread = float(pull.std())
    # One shower that leaks a tenth can be half of the variance: the error follows the kurtosis.
    kurtosis = float(((pull - pull.mean()) ** 4).mean()) / spread**4
    return mean, spread, float(np.sqrt((kurtosis - 1) / (4 * len(pull))))


def speed(n: int) -> float:
    """10 GeV electrons per CPU second into 25 x 25 x 25 cells of PbWO4."""
    detector = load_detector("pbwo4-block")
    mesh = grid(25, 9.2, 25, 5.0, 25, 5.0)
    beam = draw_beam(11, n, (10.0, 10.0), seed=SEED, spot_mm=(5.0, 5.0))
    simulate(detector, mesh, beam.part(0, 64), SEED)  # warms caches and allocators
    start = time.process_time()
    simulate(detector, mesh, beam, SEED)
    return _round(n / (time.process_time() - start), 0)


def _select(showers: ShowerSet, rows: NDArray[np.int64]) -> ShowerSet:
    return replace(
        showers,
        energies=showers.energies[rows],
        incident_gev=showers.incident_gev[rows],
        theta_rad=showers.theta_rad[rows],
    )


def _round(value: float, digits: int = 3) -> float:
    return round(float(value), digits)
