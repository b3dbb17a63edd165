"""Targets built so that nothing fits, and ordinary ones; what is answered without running a model.

Asked of the shipped models' cards, by the rules that `catalog recommend` asks first: showers that
no model can be compared with, then particles and energies that no model covers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

import sample_models
from catalog.card import Card
from catalog.compat import cannot_adapt, check_target
from catalog.domain import Detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import NothingFits
from catalog.pull import read_folder
from catalog.scoring.doubts import doubt
from catalog.scoring.verdict import Answer
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.simulate.beam import draw_beam
from catalog.simulate.run import simulate
from sample_models.pool import ENERGY, variant
from sample_models.zoo import DATA

SEED = 17
_DETECTORS = ("ild-siw", "atlas-lar-ecal", "l3-bgo")
_SHOWERS = 60
_HIGH = (300.0, 1000.0)  # GeV; every shipped model ends at or below 100
# Five times what models generate on: steps of R_M / 2 and 1 X0.
_COARSE_RM, _COARSE_X0 = 2.5, 5.0


@dataclass(frozen=True)
class Case:
    """One target; `right` is the answer that it was built for."""

    name: str
    right: Answer
    given: Answer


def cases() -> list[Case]:
    """All of them: ordinary targets are right when something fits."""
    folders = sorted(Path(sample_models.__file__).parent.glob("versions/*/card.yaml"))
    cards = [read_folder(path.parent).card for path in folders]
    cards = [card for card in cards if card.task == "shower-generation"]
    return [Case(name, right, answer(target, cards)) for name, right, target in _targets()]


def answer(target: ShowerSet, cards: Sequence[Card]) -> Answer:
    """nothing-fits, or adapt where at least one model is left."""
    try:
        check_target(target)
    except NothingFits:
        return "nothing-fits"
    if doubt(target) or all(cannot_adapt(card, target) for card in cards):
        return "nothing-fits"
    return "adapt"


def _targets() -> Iterator[tuple[str, Answer, ShowerSet]]:
    for path in sorted(Path(os.environ.get("CATALOG_FULLSIM", DATA)).glob("*pion*.h5")):
        yield path.stem, "nothing-fits", read_showers(path).part(0, _SHOWERS)
    for name in _DETECTORS:
        detector = variant(name, 0, SEED)
        make = partial(_simulated, detector)
        plain = make(11, ENERGY)
        yield f"{name}, as it is", "adapt", plain
        yield f"{name}, pions", "nothing-fits", make(-211, ENERGY)
        yield f"{name}, 300 to 1000 GeV", "nothing-fits", make(11, _HIGH)
        yield f"{name}, MeV read as GeV", "nothing-fits", _scaled(plain, 1000.0, 1000.0)
        yield f"{name}, showers in MeV", "nothing-fits", _scaled(plain, 1000.0, 1.0)
        yield f"{name}, 5 times coarser", "nothing-fits", _simulated(_coarse(detector), 11, ENERGY)


def _scaled(showers: ShowerSet, energies: float, incident: float) -> ShowerSet:
    scaled = showers.energies * np.float32(energies)
    return replace(showers, energies=scaled, incident_gev=showers.incident_gev * incident)


def _coarse(detector: Detector) -> Detector:
    x0, rm, depth = _scales(detector)
    cell = _COARSE_RM * rm
    layers = max(1, round(depth / (_COARSE_X0 * x0)))
    return detector.model_copy(update={"cell_mm": (cell, cell), "readout_layers": layers})


def _simulated(detector: Detector, pdg: int, energy: tuple[float, float]) -> ShowerSet:
    """Showers in the detector's own cells."""
    x0, rm, depth = _scales(detector)
    assert detector.cell_mm and detector.readout_layers
    cell, thick = detector.cell_mm[0], depth / detector.readout_layers
    half = math.ceil(2.6 * rm / cell)
    edges = tuple((np.arange(-half, half + 2) - 0.5) * cell)
    deep = min(detector.readout_layers, math.ceil(30 * x0 / thick))
    layers = (Layer(i * thick, (i + 1) * thick, "cartesian", edges, edges) for i in range(deep))
    beam = draw_beam(pdg, _SHOWERS, energy, seed=SEED, spot_mm=(cell, cell))
    return simulate(detector, Mesh(tuple(layers)), beam, SEED)


def _scales(detector: Detector) -> tuple[float, float, float]:
    assert detector.x0_mm and detector.rm_mm and detector.depth_mm
    return detector.x0_mm, detector.rm_mm, detector.depth_mm
