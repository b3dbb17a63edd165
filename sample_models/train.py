"""Train the sample models from the shipped showers.

    python -m sample_models.train NAME ...
    python -m sample_models.train --all

Writes versions/NAME/ beside this file: card.yaml, model.onnx, checkpoint.safetensors and test
vectors. The showers come in random order, so the last of each file judge, the others train.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.adapt.family import (
    CHECKPOINT_FILE,
    Checkpoint,
    Judge,
    Plan,
    write_checkpoint,
)  # fmt: skip
from catalog.adapt.judge import make_judge, training_data
from catalog.card import CARD_FILE, Card, Training, card_yaml
from catalog.domain import Domain, Simulator, TensorSpec, load_detector
from catalog.domain.domain import ShapeSpec
from catalog.seen import keys_of, write_seen
from catalog.showers import Shape, ShowerSet
from catalog.showers.reader import read_showers
from catalog.testvectors import MODEL_FILE, write_test_vectors
from sample_models import cvae, gan3d, regressor

HERE = Path(__file__).parent
DATA, VERSIONS = HERE / "data", HERE / "versions"
SEED = 1
PHYSICS = (
    "electromagnetic physics close to option 0 (photoelectric, Compton, 5D conversion, Urban "
    "multiple scattering, Moller-Bhabha, bremsstrahlung with LPM); no Rayleigh, no photonuclear"
)
FILES = {
    "pbwo4-block": ("pbwo4-electron.h5", "seed 11"),
    "clic-siw": ("clic-siw-photon.h5", "seeds 12, 214, 314"),
}


@dataclass(frozen=True)
class Sample:
    """One generator to train: on which detectors, how long, and what to say about it."""

    family: Any
    detectors: tuple[str, ...]
    judged: int  # showers of the first detector kept out of training, for choosing the step
    steps: int
    batch: int
    lr: float
    summary: str
    description: str


CVAE_STORY = (
    "Conditional variational autoencoder with a fixed physical code (energy sums per layer, ring "
    "and sector), a normalising-flow prior and a hurdle decoder on 25 x 8 x 5 voxels in X0 and "
    "R_M. Adapt it to another electromagnetic calorimeter with `catalog adapt`."
)
SAMPLES = {
    "vae-pbwo4": Sample(
        cvae.FAMILY,
        ("pbwo4-block",),
        120,
        2000,
        64,
        1e-3,
        "Electron showers in a PbWO4 block, 1-100 GeV: VAE on a mesh in X0 and R_M",
        CVAE_STORY,
    ),
    "vae-clic-siw": Sample(
        cvae.FAMILY,
        ("clic-siw",),
        300,
        2500,
        64,
        1e-3,
        "Photon showers in a CLIC-like Si-W ECAL, 1-100 GeV: VAE on a mesh in X0 and R_M",
        CVAE_STORY,
    ),
    "vae-em": Sample(
        cvae.FAMILY,
        ("pbwo4-block", "clic-siw"),
        120,
        3000,
        64,
        1e-3,
        "Electromagnetic showers, pretrained on two detectors, as a parent to adapt from",
        CVAE_STORY + " Trained on PbWO4 electrons and CLIC Si-W photons together; exported at the "
        "scale of PbWO4, for electrons.",
    ),
    "3dgan-pbwo4": Sample(
        gan3d.FAMILY,
        ("pbwo4-block",),
        120,
        1500,
        32,
        3e-4,
        "Electron showers in a PbWO4 block, 1-100 GeV: a small 3DGAN on 25 x 25 x 25 cells",
        "Three-dimensional convolutional GAN after svalleco/3Dgan, with auxiliary energy "
        "regression and energy-sum losses, small enough to train on two CPU cores. Its physics is "
        "that of a small GAN trained briefly: see the validation before using it.",
    ),
}


def main() -> None:
    """Train what is asked for."""
    names = [*SAMPLES, regressor.NAME]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*names, []], metavar="NAME", help=str(names))
    parser.add_argument("--all", action="store_true", help="train every sample")
    asked = parser.parse_args()
    for name in names if asked.all else asked.names:
        started = time.monotonic()
        if name == regressor.NAME:
            regressor.write(VERSIONS / name, load("clic-siw"), SEED, device())
        else:
            write_sample(name, SAMPLES[name], VERSIONS / name)
        print(f"{name}: {time.monotonic() - started:.0f} s")


def load(detector: str) -> ShowerSet:
    """The shipped showers of a detector."""
    return read_showers(DATA / FILES[detector][0])


def device() -> str:
    """What trained it."""
    return f"1 core, {platform.machine()}"


def write_sample(name: str, sample: Sample, folder: Path) -> None:
    """Train one generator and write its version folder."""
    sets = [load(detector) for detector in sample.detectors]
    started = time.monotonic()
    checkpoint, shape = _train(sample, sets)
    folder.mkdir(parents=True, exist_ok=True)
    write_checkpoint(checkpoint, folder / CHECKPOINT_FILE)
    inputs, outputs = sample.family.export(checkpoint, folder / MODEL_FILE)
    training = _record(sample, sets, round(time.monotonic() - started, 1))
    card = _card(name, sample, shape, (inputs, outputs), training)
    (folder / CARD_FILE).write_text(card_yaml(card), encoding="utf-8")
    write_test_vectors(folder, card)
    write_seen(folder, *(keys_of(showers) for showers in sets))


def _train(sample: Sample, sets: list[ShowerSet]) -> tuple[Checkpoint, Shape]:
    family, first = sample.family, sets[0]
    cut = len(first) - sample.judged
    plan = Plan("scratch", sample.steps, SEED, sample.batch, sample.lr)
    if family is gan3d.FAMILY:
        x0, rm = first.scale()
        config = gan3d.native_config(
            x0, rm, first.mesh.layers[0].z1, first.mesh.layers[0].b[-1] / 12.5
        )
    else:
        config = cvae.fresh_config(tuple(s.pdg for s in sets))
    shape = family.shape(config)
    beam, judge = make_judge(first.part(cut), shape, showers=600)
    data = [training_data(s, shape, beam) for s in (first.part(0, cut), *sets[1:])]
    start = Checkpoint(family.name, config, {})
    return family.train(data, start, plan, _told(judge), _tell), shape


def _told(judge: Judge) -> Judge:
    def told(showers: Any) -> float:
        score = judge(showers)
        print(f"w1 {score:.4f}", flush=True)
        return score

    return told


def _tell(done: int, steps: int) -> None:
    print(f"{done}/{steps}", end="  ", flush=True)


def _record(sample: Sample, sets: list[ShowerSet], seconds: float) -> Training:
    names = [FILES[detector][0] for detector in sample.detectors]
    digest = hashlib.sha256((DATA / names[0]).read_bytes()).hexdigest()
    return Training(
        dataset=" + ".join(f"sample_models/data/{name}" for name in names),
        dataset_digest=f"sha256:{digest}",
        showers=sum(len(s) for s in sets) - sample.judged,
        steps=sample.steps,
        seed=SEED,
        recipe={
            "strategy": "scratch",
            "batch": sample.batch,
            "lr": sample.lr,
            "judged_on": sample.judged,
        },
        device=device(),
        seconds=seconds,
    )


def _card(
    name: str,
    sample: Sample,
    shape: Shape,
    tensors: tuple[list[TensorSpec], list[TensorSpec]],
    training: Training,
) -> Card:
    detector = sample.detectors[0]
    others = " and ".join(sample.detectors[1:])
    return Card(
        name=name,
        summary=sample.summary,
        description=sample.description,
        task="shower-generation",
        family=sample.family.name,
        licence="Apache-2.0",
        authors=("The hep-model-catalog authors",),
        domain=domain_of(detector, shape, f"also trained on {others} (photons)" if others else ""),
        inputs=tuple(tensors[0]),
        outputs=tuple(tensors[1]),
        training=training,
    )


def domain_of(detector: str, shape: Shape | None, notes: str = "") -> Domain:
    """The domain of a shipped file: detector, particle, energies, simulator."""
    file, seeds = FILES[detector]
    showers = read_showers(DATA / file, limit=1)
    spec = None
    if shape is not None:
        spec = ShapeSpec(kind=shape.kind, depth_x0=shape.depth_x0, a=shape.a, b_rm=shape.b_rm)
    return Domain(
        detector=load_detector(detector),
        particles=(showers.pdg,),
        energy_gev=(1.0, 100.0),
        spectrum="log-uniform",
        theta_rad=(0.0, 0.0),
        shape=spec,
        simulator=Simulator(name="Geant4", version="11.3.2", physics=PHYSICS, seeds=seeds),
        notes=notes,
    )


if __name__ == "__main__":
    main()
