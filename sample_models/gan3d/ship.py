"""Make a version folder of a finished run, with a card that says how briefly it was trained.

    python -m sample_models.gan3d.ship RUN NAME

Writes ../versions/NAME from the files that `python -m sample_models.gan3d --out RUN` left.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from catalog.adapt.family import CHECKPOINT_FILE, read_checkpoint, write_checkpoint
from catalog.card import CARD_FILE, Card, Training, card_yaml
from catalog.domain import Domain, Simulator, load_detector
from catalog.domain.domain import ShapeSpec
from catalog.fingerprint.version import write_fingerprint
from catalog.seen import keys_of, write_seen
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.testvectors import MODEL_FILE, write_test_vectors
from sample_models.gan3d.family import FAMILY
from sample_models.zoo import DATA, FILES, VERSIONS, Child, domain_of, prove

_CELLS = {
    "fixed": "25 x 25 x 25 cells",
    "angle": "51 x 51 x 25 cells, any angle",
    "small": "13 x 13 x 25 cells",
}
_PLAN = (
    "The generator and discriminator of svalleco/3Dgan, layer by layer",
    "The plan of svalleco/3Dgan on fewer cells with fewer filters",
)
_TRAINED = 50_000  # showers; half an epoch of the reference, less is no training
_EPOCHS = {"fixed": "30 to 60", "angle": "120", "small": "30 to 60"}


def main() -> None:
    """Write the version that was asked for."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    run, name = Path(sys.argv[1]), sys.argv[2]
    card = ship(run, VERSIONS / name, DATA)
    if card.domain.detector.name not in FILES:  # where it has seen all that is shipped, nothing can
        prove(VERSIONS / name, Child("", card.domain.detector.name, card.domain.particles[0], 0))
    print(card.summary)


def ship(run: Path, folder: Path, data: Path) -> Card:
    """Write `folder`, named as the model, from a run; `data` is where its full showers lie."""
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    checkpoint = read_checkpoint(run / CHECKPOINT_FILE)
    used = read_showers(data / facts["data"]) if facts["data"] else None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_checkpoint(checkpoint, folder / CHECKPOINT_FILE)
    inputs, outputs = FAMILY.export(checkpoint, folder / MODEL_FILE)
    FAMILY.export_scorer(checkpoint, folder / FAMILY.scorer)
    card = Card(
        name=folder.name,
        summary=_summary(facts),
        description=_description(facts),
        task="shower-generation",
        family=FAMILY.name,
        licence="Apache-2.0",
        authors=("The hep-model-catalog authors",),
        references=("https://github.com/svalleco/3Dgan", "doi:10.1140/epjc/s10052-022-10258-4"),
        domain=_domain(facts, FAMILY.shape(checkpoint.config)),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        training=_training(facts, used),
    )
    (folder / CARD_FILE).write_text(card_yaml(card), encoding="utf-8")
    write_test_vectors(folder, card)
    if used is not None:
        write_seen(folder, keys_of(used))
        write_fingerprint(folder, card, used)
    return card


def _summary(facts: dict[str, Any]) -> str:
    low, high = facts["energy_gev"]
    where = f"Showers in {facts['detector']}, {low:g}-{high:g} GeV"
    seen = sum(phase["steps"] * phase["batch"] for phase in facts["phases"])
    warning = "Placeholder, not for use: " if seen < _TRAINED else ""
    return f"{warning}{where}: 3DGAN on {_CELLS[facts['version']]}"


def _description(facts: dict[str, Any]) -> str:
    told = [
        f"{phase['steps']} steps of {phase['batch']} {_kind(phase)} showers ({phase['showers']} "
        f"different ones) on {phase['device']}, of which step {phase['best_step']} was kept"
        for phase in facts["phases"]
    ]
    steps = sum(phase["steps"] * phase["batch"] for phase in facts["phases"])
    return (
        f"{_PLAN[facts['version'] == 'small']}, with its losses, weights and optimiser. "
        f"Trained for {', then '.join(told)}: {steps:,} showers in all, "
        f"where the reference trains {_EPOCHS[facts['version']]} epochs of about 100,000. "
        f"w1_geomean when it ended: {facts['phases'][-1]['w1_geomean']:.3g}. See the validation "
        "before using it."
    )


def _kind(phase: dict[str, Any]) -> str:
    return "Geant4" if phase["phase"] == "data" else "parametrised"


def _domain(facts: dict[str, Any], shape: Any) -> Domain:
    spec = ShapeSpec(kind=shape.kind, depth_x0=shape.depth_x0, a=shape.a, b_rm=shape.b_rm)
    if facts["data"]:
        simulator = domain_of(facts["detector"]).simulator
    else:
        simulator = Simulator(name="catalog simulate", physics="parametrised, not full simulation")
    return Domain(
        detector=load_detector(facts["detector"]),
        particles=(facts["pdg"],),
        energy_gev=tuple(facts["energy_gev"]),
        spectrum="log-uniform",
        theta_rad=tuple(facts["theta_rad"]),
        shape=spec,
        simulator=simulator,
    )


def _training(facts: dict[str, Any], used: ShowerSet | None) -> Training:
    phases, last = facts["phases"], facts["phases"][-1]
    return Training(
        dataset=facts["data"] or f"catalog simulate --detector {facts['detector']}",
        dataset_digest=f"sha256:{used.digest.removeprefix('sha256:')}" if used else None,
        showers=sum(phase["showers"] for phase in phases),
        steps=sum(phase["steps"] for phase in phases),
        seed=facts["seed"],
        recipe={"strategy": "scratch", **facts["options"]},
        device=last["device"],
        seconds=round(sum(phase["seconds"] for phase in phases), 1),
    )


if __name__ == "__main__":
    main()
