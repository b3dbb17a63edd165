"""Which sample models there are, and how each is made: a list to read, and one function per kind.

A pretrained model learns from simulated showers of many detectors (`sample_models.pool`), so no
full simulation has shaped it. Every other one is its child: the same `catalog adapt` that a user
runs, on full simulation where some is shipped, else on simulated showers of one detector.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from catalog.adapt.adapt import adapt
from catalog.adapt.family import Plan, Running
from catalog.adapt.recipe import load_recipe
from catalog.adapt.train import line, train
from catalog.card import Card, read_card, write_card
from catalog.compat import MIN_LAYERS
from catalog.domain import Domain, Simulator, load_detector
from catalog.pull import read_folder
from catalog.seen import SEEN_FILE
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.validate import record, validate
from sample_models.pool import DETECTORS, ENERGY, pool, simulated

HERE = Path(__file__).parent
DATA, VERSIONS = HERE / "data", HERE / "versions"
SEED = 1
_UNSEEN = 2000  # simulated showers to validate on
PHYSICS = (
    "electromagnetic physics close to option 0 (photoelectric, Compton, 5D conversion, Urban "
    "multiple scattering, Moller-Bhabha, bremsstrahlung with LPM); no Rayleigh, no photonuclear"
)
FILES = {
    "pbwo4-block": ("pbwo4-electron.h5", "seed 11"),
    "clic-siw": ("clic-siw-photon.h5", "seeds 12, 214, 314"),
}
_STORY = {
    "cvae": "Conditional variational autoencoder with a physical code (energy sums per layer, ring "
    "and sector), a normalising-flow prior and a hurdle decoder",
    "flow": "Flow-matching transformer over the layers of a shower",
    "3dgan": "The plan of 3DGAN on 13 x 13 x 25 cells in X0 and R_M, told the energy. It has seen "
    "far fewer showers than the reference: a start to train on, not for use.",
}
_MESH = " on 25 x 8 x 5 voxels in X0 and R_M, told energy, particle and geometry."


@dataclass(frozen=True)
class Pretrained:
    """Trained from nothing on `variants` variants of every detector of the pool."""

    family: str
    variants: int
    showers: int  # of each variant
    steps: int
    batch: int
    lr: float


@dataclass(frozen=True)
class Child:
    """A pretrained model adapted to one detector."""

    parent: str
    detector: str
    pdg: int
    showers: int
    steps: int = 1500


ZOO: dict[str, Pretrained | Child] = {
    "vae-sim": Pretrained("cvae", 10, 1500, 12_000, 256, 2e-3),
    "vae-pbwo4": Child("vae-sim", "pbwo4-block", 11, 880),
    "vae-clic-siw": Child("vae-sim", "clic-siw", 22, 1500),
    "vae-ild-siw": Child("vae-sim", "ild-siw", 22, 2000),
    "vae-atlas-lar": Child("vae-sim", "atlas-lar-ecal", 11, 2000),
    "vae-lhcb-shashlik": Child("vae-sim", "lhcb-shashlik", 22, 2000),
    "vae-hgcal": Child("vae-sim", "cms-hgcal-ce-e", 11, 2000),
    "vae-bgo": Child("vae-sim", "l3-bgo", 22, 2000),
    "vae-csi": Child("vae-sim", "belle-csi", 22, 2000),
    "vae-lkr": Child("vae-sim", "na48-lkr", 22, 2000),
    "flow-sim": Pretrained("flow", 10, 1500, 15_000, 64, 1.5e-3),
    "flow-pbwo4": Child("flow-sim", "pbwo4-block", 11, 880),
    "flow-clic-siw": Child("flow-sim", "clic-siw", 22, 1500),
    # Its parent: see sample_models/gan3d.
    "3dgan-pbwo4": Child("3dgan-ild-siw", "pbwo4-block", 11, 250, 120),
}


def make(name: str) -> Card:
    """Train one of the zoo and write versions/NAME; a parent must be there already."""
    sample, folder = ZOO[name], VERSIONS / name
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as place:
        out = Path(place) / name
        card = _child(name, sample, out) if isinstance(sample, Child) else _first(name, sample, out)
        write_card(out, card)
        if isinstance(sample, Child):
            prove(out, sample)
        shutil.rmtree(folder, ignore_errors=True)
        out.replace(folder)
    return read_card(folder)


def prove(folder: Path, sample: Child) -> None:
    """Validate on showers of its own detector that it has not seen, and keep the result in it.

    Where no full simulation is shipped these are simulated with another seed, and the result says
    that it is no full simulation.
    """
    made = read_folder(folder)
    if sample.detector in FILES:
        target = _asked(showers_of(sample), made.card).part(sample.showers)
    else:
        other = showers_of(replace(sample, showers=_UNSEEN), SEED + 99)
        target = replace(other, source="catalog simulate", parametrised=True)
        target = _asked(target, made.card)
    record(validate(made, target, skipped=sample.showers))


def _asked(showers: ShowerSet, card: Card) -> ShowerSet:
    """Those of the energies that a model is made for."""
    low, high = card.domain.energy_gev or ENERGY
    inside = (showers.incident_gev >= low) & (showers.incident_gev <= high)
    return showers.take(np.flatnonzero(inside))


def _first(name: str, sample: Pretrained, out: Path) -> Card:
    """Pretrain; snapshots lie beside the versions, so that a killed run goes on when repeated."""
    sets = pool(DETECTORS, sample.variants, sample.showers, SEED)
    recipe = load_recipe("scratch").model_copy(update={"backbone_lr": sample.lr, "ema": 0.999})
    plan = Plan(recipe, sample.steps, SEED, sample.batch)
    kept = VERSIONS / f".{name}.unfinished"
    running = Running(
        watch=lambda judged, pace: print(line(plan, judged, pace), flush=True),
        folder=kept,
        resume=kept.exists(),
    )
    about = f"{len(sets)} simulated calorimeters"
    card = {
        "name": name,
        "summary": f"Electrons and photons of 1-100 GeV in {about}: a parent to adapt from",
        "description": _STORY[sample.family] + _MESH + f" Pretrained on variants of "
        f"{', '.join(DETECTORS)}, in a parametrised simulation (`catalog simulate`), never on full "
        "simulation: adapt it before using it.",
        "licence": "Apache-2.0",
        "authors": ("The hep-model-catalog authors",),
    }
    dataset = f"{about}, {sample.showers} showers each (sample_models/pool.py, seed {SEED})"
    domain = {**_domain(), "notes": f"pretrained on {about}; exported for the first of them"}
    train(sample.family, sets, out, plan, card, running, kept=300, domain=domain, dataset=dataset)
    (out / SEEN_FILE).unlink()  # nobody can be judged on the pool: it is never kept
    return read_card(out)


def _child(name: str, sample: Child, out: Path) -> Card:
    """Adapt with the recipe and the command that a user has, for more steps."""
    parent = replace(read_folder(VERSIONS / sample.parent), version=1)
    target = _asked(showers_of(sample), parent.card)
    recipe = load_recipe("full")
    adapt(parent, target, showers=sample.showers, out=out, recipe=recipe, steps=sample.steps)
    card = read_card(out)
    what = {11: "Electron", 22: "Photon"}[sample.pdg]
    full = sample.detector in FILES
    kind = "Geant4" if full else "simulated"
    low, high = parent.card.domain.energy_gev or ENERGY
    where = card.domain.detector.title or sample.detector
    summary = f"{what} showers in {where}, {low:g}-{high:g} GeV"
    mesh = "" if card.family == "3dgan" else _MESH
    description = (
        f"{_STORY[str(card.family)]}{mesh} {sample.parent} adapted on {sample.showers} {kind} "
        "showers."
        + ("" if full else " Parametrised simulation: no substitute for full simulation.")
    )
    told = _domain(sample.detector if full else "") | {"energy_gev": (low, high)}
    document = card.domain.model_dump() | told
    domain = Domain.model_validate(document)
    update = {"name": name, "summary": summary[:200], "description": description, "domain": domain}
    return card.model_copy(update=update)


def showers_of(sample: Child, seed: int = SEED + 7) -> ShowerSet:
    """Shipped full simulation of its detector, else simulated showers."""
    if sample.detector in FILES:
        return read_showers(DATA / FILES[sample.detector][0])
    detector = load_detector(sample.detector)
    depth, x0, rm = detector.depth_mm or 0.0, detector.x0_mm or 1.0, detector.rm_mm or 0.0
    layers = detector.readout_layers or sum(slab.active for slab in detector.slabs())
    cell = detector.cell_mm or (0.3 * rm, 0.3 * rm)
    if layers < MIN_LAYERS:  # crystals, as the block of PbWO4: in virtual cells
        layers, cell = round(depth / x0), (0.3 * rm, 0.3 * rm)
    readable = detector.model_copy(update={"readout_layers": layers, "cell_mm": cell})
    return simulated(readable, sample.pdg, sample.showers, seed)


def domain_of(detector: str) -> Domain:
    """The domain of a shipped file: detector, particle, energies, simulator."""
    showers = read_showers(DATA / FILES[detector][0], limit=1)
    known = {"detector": load_detector(detector), "particles": (showers.pdg,)}
    return Domain.model_validate({**known, **_domain(detector)})


def _domain(full: str = "") -> dict[str, Any]:
    """What showers do not say of themselves; `full`: the detector of a full-simulation file."""
    simulator = {
        "name": "hep-model-catalog",
        "version": "0.1.0",
        "physics": "parametrised: Grindhammer-Peters, not full simulation",
    }
    if full:
        simulator = {
            "name": "Geant4",
            "version": "11.3.2",
            "physics": PHYSICS,
            "seeds": FILES[full][1],
        }
    return {
        "energy_gev": ENERGY,
        "spectrum": "log-uniform",
        "theta_rad": (0.0, 0.0),
        "simulator": Simulator.model_validate(simulator),
    }
