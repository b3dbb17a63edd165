"""Simulated showers of many detectors, and of variants of them, to pretrain on.

A variant is a detector that nobody has built: absorbers thinner or thicker, other cells, another
number of readout layers, sampling fluctuations to match. A model that has seen a hundred of them
has seen what a next detector can change. The simulation is parametrised (`catalog.simulate`); so
are the cards of what is trained on it.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import numpy as np

from catalog.domain import Detector, load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from catalog.simulate.beam import draw_beam
from catalog.simulate.run import simulate

ENERGY = (1.0, 100.0)  # GeV
# Electromagnetic calorimeters of the vocabulary without those whose full simulation is shipped, and
# their twins: what is pretrained here has never seen a target of benchmarks/adapt.py.
DETECTORS = (
    "allegro-lar",
    "atlas-lar-ecal",
    "belle-csi",
    "cld-siw",
    "cms-hgcal-ce-e",
    "ild-siw",
    "l3-bgo",
    "lhcb-shashlik",
    "na48-lkr",
    "par04-scipb",
    "pb-lar",
)
_CELL = (0.2, 0.7)  # R_M
_LAYER = (0.5, 1.0)  # X0
_ABSORBER = 0.5  # absorbers change by a factor of at most e to this
_DEEP, _WIDE = 30.0, 2.6  # simulated depth in X0, half width in R_M


def variant(name: str, number: int, seed: int) -> Detector:
    """Variant `number` of a detector; its absorbers are the original's if `number` is 0."""
    rng = np.random.default_rng([seed, number, *name.encode()])
    plain = load_detector(name)
    document = plain.model_dump(mode="json")
    if number and plain.technology == "sampling":
        factor = math.exp(rng.uniform(-_ABSORBER, _ABSORBER))
        for part in document["stack"]:
            for slab in part["slabs"]:
                slab["mm"] *= 1.0 if slab["active"] else factor
        # Fluctuations grow as the root of the sampled thickness, and differ by more than that.
        noise = math.exp(rng.normal(0, 0.15))
        document["response"]["stochastic"] *= math.sqrt(factor) * noise
        document["sampling_fraction"] = None
    thick = Detector.model_validate({**document, "name": f"{name}-variant-{number}"})
    assert thick.x0_mm and thick.rm_mm and thick.depth_mm  # noqa: S101  all of DETECTORS have a stack
    cell = thick.rm_mm * math.exp(rng.uniform(*np.log(_CELL)))
    layers = max(1, round(thick.depth_mm / (thick.x0_mm * rng.uniform(*_LAYER))))
    return thick.model_copy(update={"cell_mm": (cell, cell), "readout_layers": layers})


def simulated(detector: Detector, pdg: int, n: int, seed: int) -> ShowerSet:
    """Showers in the detector's own cells, moved to the mesh in X0 and R_M."""
    x0, rm, depth = detector.x0_mm, detector.rm_mm, detector.depth_mm
    assert x0 and rm and depth and detector.cell_mm and detector.readout_layers  # noqa: S101
    cell, thick = detector.cell_mm[0], depth / detector.readout_layers
    half = math.ceil(_WIDE * rm / cell)
    edges = tuple((np.arange(-half, half + 2) - 0.5) * cell)
    deep = min(detector.readout_layers, math.ceil(_DEEP * x0 / thick))
    layers = (Layer(i * thick, (i + 1) * thick, "cartesian", edges, edges) for i in range(deep))
    beam = draw_beam(pdg, n, ENERGY, seed=seed, spot_mm=(cell, cell))
    native = simulate(detector, Mesh(tuple(layers)), beam, seed)
    if detector.sampling_fraction is None:
        detector = detector.model_copy(update={"sampling_fraction": native.sampling_fraction()})
    energies = native.on(PHYSICS_SHAPE).reshape(n, -1)
    mesh = PHYSICS_SHAPE.mesh(x0, rm)
    source = f"{detector.name}, {native.source}"
    return ShowerSet(energies, beam.energy, beam.theta, mesh, detector, pdg, source)


def pool(names: Sequence[str], variants: int, n: int, seed: int = 0) -> list[ShowerSet]:
    """n showers of each of `variants` variants of each detector, electrons and photons in turn."""
    chosen = [(name, number) for number in range(variants) for name in names]
    detectors = [variant(name, number, seed) for name, number in chosen]
    particles = [(11, 22)[(place + place // len(names)) % 2] for place in range(len(chosen))]
    seeds = [seed + 1000 * (place + 1) for place in range(len(chosen))]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(os.cpu_count(), context) as workers:
        return list(workers.map(simulated, detectors, particles, repeat(n), seeds))
