"""Train models: the door for torchrun, and the sample models that are shipped.

    python -m sample_models.train FAMILY --data F.h5 --out DIR ...    as `catalog train`
    torchrun --nproc-per-node 2 -m sample_models.train FAMILY --data F.h5 --out DIR ...
    python -m sample_models.train NAME ... | --all                    the shipped samples

A sample is trained from the shipped showers and written to versions/NAME/ beside this file. The
showers come in random order, so the last of each file judge, the others train.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.adapt.family import Plan, Running
from catalog.adapt.recipe import Recipe
from catalog.adapt.train import line, train
from catalog.domain import Domain, Simulator, load_detector
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from sample_models import regressor

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
        ("pbwo4-block",),
        120,
        2000,
        64,
        1e-3,
        "Electron showers in a PbWO4 block, 1-100 GeV: VAE on a mesh in X0 and R_M",
        CVAE_STORY,
    ),
    "vae-clic-siw": Sample(
        ("clic-siw",),
        300,
        2500,
        64,
        1e-3,
        "Photon showers in a CLIC-like Si-W ECAL, 1-100 GeV: VAE on a mesh in X0 and R_M",
        CVAE_STORY,
    ),
    "vae-em": Sample(
        ("pbwo4-block", "clic-siw"),
        120,
        3000,
        64,
        1e-3,
        "Electromagnetic showers, pretrained on two detectors, as a parent to adapt from",
        CVAE_STORY + " Trained on PbWO4 electrons and CLIC Si-W photons together; exported at the "
        "scale of PbWO4, for electrons.",
    ),
}


def main() -> None:
    """Train what is asked for."""
    if "--data" in sys.argv:
        from catalog.cli import main as catalog

        sys.argv[1:1] = ["train"]
        catalog()
        return
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
    recipe = Recipe(name="scratch", strategy="scratch", backbone_lr=sample.lr)
    plan = Plan(recipe, sample.steps, SEED, sample.batch)
    watch = Running(watch=lambda judged, pace: print(line(plan, judged, pace), flush=True))
    others = " and ".join(sample.detectors[1:])
    card = {
        "name": name,
        "summary": sample.summary,
        "description": sample.description,
        "licence": "Apache-2.0",
        "authors": ("The hep-model-catalog authors",),
    }
    domain = _domain(sample.detectors[0], f"also trained on {others} (photons)" if others else "")
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        out = Path(place) / name
        train("cvae", sets, out, plan, card, watch, kept=sample.judged, domain=domain)
        shutil.rmtree(folder, ignore_errors=True)
        out.replace(folder)


def domain_of(detector: str) -> Domain:
    """The domain of a shipped file: detector, particle, energies, simulator."""
    showers = read_showers(DATA / FILES[detector][0], limit=1)
    known = {"detector": load_detector(detector), "particles": (showers.pdg,)}
    return Domain.model_validate({**known, **_domain(detector)})


def _domain(detector: str, notes: str = "") -> dict[str, Any]:
    """What the file itself does not say."""
    seeds = FILES[detector][1]
    return {
        "energy_gev": (1.0, 100.0),
        "spectrum": "log-uniform",
        "theta_rad": (0.0, 0.0),
        "simulator": Simulator(name="Geant4", version="11.3.2", physics=PHYSICS, seeds=seeds),
        "notes": notes,
    }


if __name__ == "__main__":
    main()
