"""The sources that are adapted and the targets they are adapted to.

Sources are trained on simulated showers: of one detector or of variants of many, from 300 or 1,500
or 6,000 showers, in three families. Targets are variants that no source has seen (other absorbers,
cells and layers; crystals change only their cells), and full simulation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from catalog.adapt.family import Plan, Running
from catalog.adapt.recipe import load_recipe
from catalog.adapt.train import train
from catalog.pull import Pulled, read_folder
from catalog.settings import load_settings
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from catalog.showers.reader import read_showers
from sample_models.pool import DETECTORS, pool, simulated, variant
from sample_models.zoo import DATA

SEED = 5
FEW, TEST = 1000, 1000  # showers a draw may use, and that judge the outcome
_TOGETHER = 3  # draws of a simulated target that come with the showers that judge
_TARGET_VARIANT = 101
_TRAIN_BATCH = 128
_SMALL_FLOW = {
    "width": 32,
    "depth": 2,
    "heads": 4,
    "steps": 4,
}


@dataclass(frozen=True)
class Source:
    """One model to adapt. `detectors`: one, or () for variants of all; `showers` of each."""

    name: str
    family: str
    detectors: tuple[str, ...]
    showers: int
    pdg: int = 11
    steps: int = 1500
    seed: int = 0


@dataclass(frozen=True)
class Target:
    """One detector to adapt to; `file` if it is full simulation."""

    name: str
    detector: str
    pdg: int
    file: str = ""


def _sources() -> tuple[Source, ...]:
    cvae = [
        ("ild-siw", 6000, 11), ("atlas-lar-ecal", 6000, 11), ("l3-bgo", 6000, 22),
        ("lhcb-shashlik", 6000, 22), ("cms-hgcal-ce-e", 6000, 11), ("allegro-lar", 6000, 22),
        ("na48-lkr", 6000, 11), ("par04-scipb", 6000, 11), ("cld-siw", 1500, 22),
        ("pb-lar", 1500, 11), ("cms-hgcal-ce-e", 1500, 22), ("ild-siw", 300, 22),
        ("belle-csi", 300, 22), ("atlas-lar-ecal", 300, 11),
    ]  # fmt: skip
    flow = [
        ("ild-siw", 6000, 11), ("atlas-lar-ecal", 6000, 22), ("l3-bgo", 6000, 22),
        ("na48-lkr", 6000, 11), ("par04-scipb", 1500, 11), ("cms-hgcal-ce-e", 1500, 11),
        ("lhcb-shashlik", 300, 22),
    ]  # fmt: skip
    made = [Source(f"cvae-{d}-{n}-{p}", "cvae", (d,), n, p) for d, n, p in cvae]
    made += [Source(f"cvae-many-{seed}", "cvae", (), 700, steps=4000, seed=seed) for seed in (0, 1)]
    made += [Source(f"flow-{d}-{n}-{p}", "flow", (d,), n, p) for d, n, p in flow]
    made += [Source("flow-many-0", "flow", (), 700, steps=4000)]
    return tuple(made)


SOURCES = _sources()
TARGETS = (
    Target("par04-siw-electron", "par04-siw", 11, "par04-siw-electron.h5"),
    Target("clic-siw-photon", "clic-siw", 22, "clic-siw-photon.h5"),
    Target("pbwo4-electron", "pbwo4-block", 11, "pbwo4-electron.h5"),
    *(Target(f"{d}-x", d, (11, 22)[i % 2]) for i, d in enumerate(DETECTORS)),
)


def home() -> Path:
    """Where sources and finished runs are kept."""
    return load_settings().home / "bench-transfer"


def make_source(source: Source) -> None:
    """Train a source, unless it is there."""
    out = home() / "sources" / source.name
    if out.exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    sets, size = _learned(source), _SMALL_FLOW if source.family == "flow" else {}
    recipe = load_recipe("scratch").model_copy(update={"ema": 0.999})
    plan = Plan(recipe, source.steps, SEED + source.seed, _TRAIN_BATCH)
    card = {"name": source.name, "licence": "Apache-2.0"}
    train(source.family, sets, out, plan, card, Running(), size=size)


def _learned(source: Source) -> list[ShowerSet]:
    if not source.detectors:
        return pool(DETECTORS, 2, source.showers, SEED + source.seed)
    detector = variant(source.detectors[0], 0, SEED)
    return [simulated(detector, source.pdg, source.showers, SEED + 10 + source.seed)]


@cache
def source_version(name: str) -> Pulled:
    """A trained source as a version folder."""
    return replace(read_folder(home() / "sources" / name), version=1)


@lru_cache(maxsize=4)
def showers_of(target: Target) -> ShowerSet:
    """Few-shot showers first, the `TEST` that judge last; on the mesh in X0 and R_M."""
    if target.file:
        folder = Path(os.environ.get("CATALOG_FULLSIM", DATA))
        read = read_showers(folder / target.file)
        x0, rm = read.scale()
        mesh = PHYSICS_SHAPE.mesh(x0, rm)
        return replace(read, energies=read.on(PHYSICS_SHAPE).reshape(len(read), -1), mesh=mesh)
    detector = variant(target.detector, _TARGET_VARIANT, SEED)
    return simulated(detector, target.pdg, _TOGETHER * FEW + TEST, SEED + 77)


@lru_cache(maxsize=2)
def _further(target: Target, draw: int) -> ShowerSet:
    """A draw that was added later, simulated apart: what the first ones reached stays true."""
    detector = variant(target.detector, _TARGET_VARIANT, SEED)
    return simulated(detector, target.pdg, FEW, SEED + 77 + draw)


def drawn(target: Target, draw: int) -> tuple[ShowerSet, ShowerSet]:
    """The few showers of a draw (at most `FEW`), and those that judge, the same for all draws.

    Draws of simulated targets share no shower; those of a full-simulation file may.
    """
    showers = showers_of(target)
    left = len(showers) - TEST
    if left >= max(draw + 1, _TOGETHER) * FEW:
        few = showers.part(draw * FEW, (draw + 1) * FEW)
    elif target.file:
        order = np.random.default_rng([SEED, draw]).permutation(left)[:FEW]
        few = showers.take(order)
    else:
        few = _further(target, draw)
    return few, showers.part(left)
