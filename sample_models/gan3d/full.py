"""Full-size training of 3DGAN: what it trains on, in which order, and what it leaves."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from catalog.adapt.family import CHECKPOINT_FILE, Checkpoint, Plan, TrainingData, read_checkpoint
from catalog.adapt.judge import make_judge, training_data
from catalog.adapt.recipe import Recipe
from catalog.domain import Detector, load_detector
from catalog.domain.mesh import Mesh
from catalog.errors import BadFile, UsageError
from catalog.showers import Shape, ShowerSet
from catalog.showers.reader import read_showers
from catalog.simulate.beam import Beam, draw_beam
from catalog.simulate.medium import medium_of
from catalog.simulate.readout import readout_mesh
from catalog.simulate.run import simulate
from catalog.testvectors import MODEL_FILE
from sample_models.gan3d.family import FAMILY, prepare
from sample_models.gan3d.model import CELLS, SMALL_CELL_RM, fit_sums, native_config, shape_of
from sample_models.gan3d.run import Phase, train_phase
from sample_models.gan3d.simulated import Simulation, many_showers

_JUDGED = 300
_BATCH = {"fixed": 128, "angle": 64, "small": 64}  # the reference's
_LAYERS = 25


@dataclass(frozen=True)
class _Simulated:
    """Simulated showers: images to train on, and some in full to judge by."""

    images: NDArray[np.float16]
    beam: Beam
    kept: ShowerSet


def train(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Train as the options of the command say; the facts of each phase.

    Raises
    ------
    CatalogError
    """
    data = _between(read_showers(asked.data), *asked.energy) if asked.data else None
    start = _start(asked)
    made = _simulated(asked) if asked.simulate else None
    first = data if made is None else made.kept
    if first is None:
        raise UsageError("nothing to train on", "give --simulate DETECTOR, --data FILE, or both")
    kept = _kept(data) if data is not None else first
    config = dict(start.config) if start else _config(first, asked)
    shape = shape_of(config)
    beam, judge = make_judge(kept, shape, _JUDGED)
    learn = None
    if data is not None:
        learn = training_data(data.part(0, len(data) - len(kept)), shape, beam)
    given = training_data(kept.part(0, 1), shape, beam).judge_conditions(config["conditions"])
    asked.out.mkdir(parents=True, exist_ok=True)
    facts = []
    for phase in _phases(asked, config, made, learn):
        plan = phase.plan
        if start is not None:
            recipe = plan.recipe.model_copy(update={"strategy": "full"})
            plan = replace(plan, recipe=recipe)
        begin = start or Checkpoint(FAMILY.name, phase.config, {})
        path, told = asked.out / CHECKPOINT_FILE, torch.tensor(given)
        start, fact = train_phase(replace(phase, plan=plan), begin, told, judge, path)
        facts.append(fact)
    assert start is not None  # noqa: S101  there was a phase
    FAMILY.export(start, asked.out / MODEL_FILE)
    FAMILY.export_scorer(start, asked.out / FAMILY.scorer)
    document = {**_told(asked, first, kept), "phases": facts}
    (asked.out / "run.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return facts


def _phases(
    asked: argparse.Namespace,
    config: dict[str, Any],
    made: _Simulated | None,
    learn: TrainingData | None,
) -> list[Phase]:
    """First simulated showers, then full simulation."""
    phases = []
    if made is not None:
        phases.append(_pretraining(asked, made, config))
    if learn is not None:
        examples, calibrated = prepare([learn], config)
        plan = _plan(asked, tuning=True)
        phases.append(Phase("data", examples, calibrated, plan, 60 * asked.tune_minutes))
    return phases


def _told(asked: argparse.Namespace, first: ShowerSet, kept: ShowerSet) -> dict[str, Any]:
    """What `ship` writes into a card."""
    options = ("batch", "lr", "ema", "freeze", "augment", "schedule", "unit_gev")
    return {
        "version": asked.version,
        "detector": first.detector.name,
        "pdg": first.pdg,
        "data": asked.data.name if asked.data else "",
        "energy_gev": list(asked.energy),
        "theta_rad": [float(first.theta_rad.min()), float(first.theta_rad.max())],
        "seed": asked.seed,
        "options": {name: getattr(asked, name) for name in options if getattr(asked, name)},
        "judged_on": len(kept),
    }


def _start(asked: argparse.Namespace) -> Checkpoint | None:
    if not asked.start:
        return None
    start = read_checkpoint(asked.start)
    if (start.family, start.config.get("version")) != (FAMILY.name, asked.version):
        raise BadFile(f"{asked.start}: no checkpoint of 3dgan, version {asked.version}")
    return start


def _between(data: ShowerSet, low: float, high: float) -> ShowerSet:
    """The showers of these energies, in their order."""
    chosen = (data.incident_gev >= low) & (data.incident_gev <= high)
    return replace(
        data,
        energies=data.energies[chosen],
        incident_gev=data.incident_gev[chosen],
        theta_rad=data.theta_rad[chosen],
    )


def _kept(data: ShowerSet) -> ShowerSet:
    """The showers that judge: the last ones, as they come in random order."""
    return data.part(len(data) - min(_JUDGED, len(data) // 5))


def _config(showers: ShowerSet, asked: argparse.Namespace) -> dict[str, Any]:
    (x0, rm), layer = showers.scale(), showers.mesh.layers[0]
    cell = (layer.b[-1] - layer.b[0]) / CELLS[asked.version]
    return native_config(x0, rm, layer.z1, cell, asked.version, asked.unit_gev)


def _plan(asked: argparse.Namespace, tuning: bool = False) -> Plan:
    recipe = {
        "strategy": "scratch",
        "backbone_lr": asked.lr,
        "ema": asked.ema,
        "freeze_discriminator": asked.freeze if tuning else 0,
        "augment": asked.augment if tuning else 0.0,
        "schedule": asked.schedule,
    }
    return Plan(Recipe.model_validate(recipe), 1, asked.seed, asked.batch or _BATCH[asked.version])


def _simulated(asked: argparse.Namespace) -> _Simulated:
    """Simulate a detector on the mesh that is trained on."""
    detector = load_detector(asked.simulate)
    mesh = _mesh(detector, asked.version)
    side = mesh.layers[0].b[1] - mesh.layers[0].b[0]
    beam = draw_beam(
        asked.particle, asked.showers + _JUDGED, tuple(asked.energy), seed=asked.seed,
        theta_rad=tuple(asked.theta), spot_mm=(side, side),
    )  # fmt: skip
    kept = simulate(detector, mesh, beam.part(asked.showers, len(beam)), seed=asked.seed)
    kept.energies[kept.energies < 1e-3 * asked.threshold_mev] = 0
    start = _start(asked)
    config = start.config if start else _config(kept, asked)
    scale = config["gain"] / kept.sampling_fraction()
    wanted = Simulation(detector, mesh, 1e-3 * asked.threshold_mev, scale)
    began, learn = time.monotonic(), beam.part(0, asked.showers)
    images = many_showers(wanted, learn, asked.seed + 1)
    print(f"simulated {len(learn)} showers in {time.monotonic() - began:.0f} s", flush=True)
    return _Simulated(images, learn, kept)


def _mesh(detector: Detector, version: str) -> Mesh:
    """The first 25 layers and the cells of a detector; the small version has X0 and R_M instead."""
    if version == "small":
        medium, half = medium_of(detector), CELLS[version] / 2
        side = tuple((i - half) * SMALL_CELL_RM for i in range(CELLS[version] + 1))
        depth = tuple(float(i) for i in range(_LAYERS + 1))
        return Shape("cartesian", depth, side, side).mesh(medium.x0_mm, medium.rm_mm)
    mesh = Mesh(readout_mesh(detector, CELLS[version]).layers[:_LAYERS])
    if len(mesh.layers) < _LAYERS:
        raise UsageError(
            f"{detector.name} has {len(mesh.layers)} layers; 3dgan has {_LAYERS}",
            "--simulate pbwo4-block, or another with at least as many",
        )
    return mesh


def _pretraining(asked: argparse.Namespace, made: _Simulated, config: dict[str, Any]) -> Phase:
    energy = (made.beam.energy / config["unit_gev"]).astype(np.float32)
    examples: dict[str, NDArray[Any]] = {
        "image": made.images,
        "energy": energy,
        "theta": made.beam.theta.astype(np.float32),
    }
    calibrated = {
        **config,
        "sampling_fraction": made.kept.sampling_fraction(),
        "sum_fit": fit_sums(made.images, energy),
    }
    return Phase("simulated", examples, calibrated, _plan(asked), 60 * asked.minutes)
