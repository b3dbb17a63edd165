"""Train 3DGAN at full size: on simulated showers, then on full simulation.

    python -m sample_models.gan3d --version fixed --simulate pbwo4-block --showers 100000
        --minutes 3 --data FILE.h5 --tune-minutes 1 --out FOLDER

Either kind of showers may be left out. The last showers of --data judge; without it, simulated
ones do. Writes checkpoint.safetensors whenever the judge likes a step better than all before, and
at the end model.onnx, critic.onnx and run.json. The reference trains 30 to 120 epochs of 100,000
showers: minutes are not that.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from catalog.adapt.family import CHECKPOINT_FILE, Checkpoint, Plan, read_checkpoint
from catalog.adapt.judge import make_judge, training_data
from catalog.adapt.recipe import Recipe
from catalog.domain import load_detector
from catalog.domain.mesh import Mesh
from catalog.errors import BadFile, CatalogError, UsageError
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.simulate.beam import Beam, draw_beam
from catalog.simulate.readout import readout_mesh
from catalog.simulate.run import simulate
from catalog.testvectors import MODEL_FILE
from sample_models.gan3d.family import FAMILY, prepare
from sample_models.gan3d.model import fit_sums, native_config, shape_of
from sample_models.gan3d.run import Phase, train_phase
from sample_models.gan3d.simulated import Simulation, many_showers

CRITIC_FILE = "critic.onnx"
_JUDGED = 300
_BATCH = {"fixed": 128, "angle": 64}  # the reference's
_CELLS = {"fixed": 25, "angle": 51}
_LAYERS = 25


def main() -> int:
    """Train, write, and tell how it went."""
    asked = _parser().parse_args()
    try:
        facts = _train(asked)
    except CatalogError as exc:
        print(f"error: {exc.message}\n  {exc.hint}", file=sys.stderr)
        return 1
    print(json.dumps({k: v for k, v in facts[-1].items() if k != "curve"}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sample_models.gan3d", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--version", choices=tuple(_CELLS), required=True)
    add("--simulate", metavar="DETECTOR", help="pretrain on simulated showers of this detector")
    add("--showers", type=int, default=100_000, help="how many to simulate")
    add("--particle", type=int, default=11, help="PDG id of simulated particles")
    add("--theta", type=float, nargs=2, default=(0.0, 0.0), metavar=("LOW", "HIGH"), help="rad")
    add("--threshold-mev", type=float, default=0.1, help="simulated cells below become 0")
    add("--minutes", type=float, default=4.0, help="of training on simulated showers")
    add("--data", type=Path, help="full simulation, in any format that `catalog` reads")
    add("--tune-minutes", type=float, default=1.0, help="of training on --data")
    add("--start", type=Path, help="a checkpoint of the same version to go on from")
    add("--batch", type=int, help="default: the reference's, 128 or 64")
    add("--lr", type=float, help="default 0.001 from nothing, 0.0003 from a checkpoint")
    add("--ema", type=float, default=0.0, help="decay of an averaged generator; 0 is the reference")
    add("--freeze", type=int, default=0, help="lower blocks of the discriminator that --data keeps")
    add("--augment", type=float, default=0.0, help="probability of turning a batch of --data")
    add("--seed", type=int, default=0)
    add("--out", type=Path, required=True, help="folder to write")
    return parser


@dataclass(frozen=True)
class _Simulated:
    """Simulated showers: images to train on, and some in full to judge by."""

    images: NDArray[np.float16]
    beam: Beam
    kept: ShowerSet


def _train(asked: argparse.Namespace) -> list[dict[str, Any]]:
    data = read_showers(asked.data) if asked.data else None
    start = _start(asked)
    made = _simulated(asked) if asked.simulate else None
    first = data if made is None else made.kept
    if first is None:
        raise UsageError("nothing to train on", "give --simulate DETECTOR, --data FILE, or both")
    kept = _kept(data) if data is not None else first
    config = _config(first, asked.version)
    shape = shape_of(config)
    beam, judge = make_judge(kept, shape, _JUDGED)
    phases = []
    if made is not None:
        phases.append(_pretraining(asked, made, config))
    if data is not None:
        learn = training_data(data.part(0, len(data) - len(kept)), shape, beam)
        examples, calibrated = prepare([learn], config)
        plan = _plan(asked, tuning=True)
        phases.append(Phase("data", examples, calibrated, plan, 60 * asked.tune_minutes))
    given = training_data(kept.part(0, 1), shape, beam).judge_conditions(config["conditions"])
    asked.out.mkdir(parents=True, exist_ok=True)
    facts = []
    for phase in phases:
        strategy = "scratch" if start is None else "full"
        recipe = phase.plan.recipe.model_copy(update={"strategy": strategy})
        phase = replace(phase, plan=replace(phase.plan, recipe=recipe))
        begin = start or Checkpoint(FAMILY.name, phase.config, {})
        path = asked.out / CHECKPOINT_FILE
        start, fact = train_phase(phase, begin, torch.tensor(given), judge, path)
        facts.append(fact)
    assert start is not None  # noqa: S101  there was a phase
    FAMILY.export(start, asked.out / MODEL_FILE)
    FAMILY.export_scorer(start, asked.out / CRITIC_FILE)
    (asked.out / "run.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return facts


def _start(asked: argparse.Namespace) -> Checkpoint | None:
    if not asked.start:
        return None
    start = read_checkpoint(asked.start)
    if (start.family, start.config.get("version")) != (FAMILY.name, asked.version):
        raise BadFile(f"{asked.start}: no checkpoint of 3dgan, version {asked.version}")
    return start


def _kept(data: ShowerSet) -> ShowerSet:
    """The showers that judge: the last ones, as they come in random order."""
    return data.part(len(data) - min(_JUDGED, len(data) // 5))


def _config(showers: ShowerSet, version: str) -> dict[str, Any]:
    x0, rm = showers.scale()
    layer = showers.mesh.layers[0]
    return native_config(x0, rm, layer.z1, (layer.b[-1] - layer.b[0]) / _CELLS[version], version)


def _plan(asked: argparse.Namespace, tuning: bool = False) -> Plan:
    recipe = {
        "backbone_lr": asked.lr,
        "ema": asked.ema,
        "freeze_discriminator": asked.freeze if tuning else 0,
        "augment": asked.augment if tuning else 0.0,
    }
    return Plan(Recipe.model_validate(recipe), 1, asked.seed, asked.batch or _BATCH[asked.version])


def _simulated(asked: argparse.Namespace) -> _Simulated:
    """Simulate the first 25 layers of a detector, cells as it has them."""
    detector = load_detector(asked.simulate)
    mesh = Mesh(readout_mesh(detector, _CELLS[asked.version]).layers[:_LAYERS])
    if len(mesh.layers) < _LAYERS:
        raise UsageError(
            f"{detector.name} has {len(mesh.layers)} layers; 3dgan has {_LAYERS}",
            "--simulate pbwo4-block, or another with at least as many",
        )
    side = mesh.layers[0].b[1] - mesh.layers[0].b[0]
    beam = draw_beam(
        asked.particle, asked.showers + _JUDGED, (1.0, 100.0), seed=asked.seed,
        theta_rad=tuple(asked.theta), spot_mm=(side, side),
    )  # fmt: skip
    kept = simulate(detector, mesh, beam.part(asked.showers, len(beam)), seed=asked.seed)
    kept.energies[kept.energies < 1e-3 * asked.threshold_mev] = 0
    config = _config(kept, asked.version)
    scale = config["gain"] / kept.sampling_fraction()
    wanted = Simulation(detector, mesh, 1e-3 * asked.threshold_mev, scale)
    began, learn = time.monotonic(), beam.part(0, asked.showers)
    images = many_showers(wanted, learn, asked.seed + 1)
    print(f"simulated {len(learn)} showers in {time.monotonic() - began:.0f} s", flush=True)
    return _Simulated(images, learn, kept)


def _pretraining(asked: argparse.Namespace, made: _Simulated, config: dict[str, Any]) -> Phase:
    energy = (made.beam.energy / 100).astype(np.float32)
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


if __name__ == "__main__":
    sys.exit(main())
