"""Train a family from nothing on the showers of one or several detectors; resumable."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalog.adapt.energy import Meter
from catalog.adapt.family import (
    Checkpoint,
    Family,
    Judge,
    Judged,
    Pace,
    Plan,
    Running,
    Trained,
    TrainingData,
    first_rank,
    load_family,
)
from catalog.adapt.judge import make_judge, training_data
from catalog.adapt.recipe import default_recipe, load_recipe, measured
from catalog.adapt.version import (
    export_version,
    finish_version,
    new_folder,
    refuse_taken,
    training_record,
)
from catalog.card import Card
from catalog.errors import UsageError
from catalog.showers import Shape, ShowerSet

MIN_SHOWERS = 40
STEPS = 3000
_JUDGED = 600  # showers generated each time the step is judged
_MOST_KEPT, _KEPT = 300, 0.25  # showers kept out of training to judge by


@dataclass(frozen=True)
class TrainResult:
    """A version folder, ready to be published, and how it was trained."""

    folder: Path
    card: Card
    run: Trained
    seconds: float


def plan_training(
    family: str, showers: int, *, recipe: str | None = None, steps: int | None = None,
    batch: int | None = None, seed: int = 0,
) -> Plan:  # fmt: skip
    """The plan for training from nothing: recipe by name or file, else as measured.

    Raises
    ------
    UsageError, NotFound, BadFile
    """
    how = measured(load_recipe(recipe), family, showers) if recipe else None
    how = how or default_recipe(family, showers, scratch=True)
    if how.strategy != "scratch":
        raise UsageError(
            f"recipe {how.name!r} ({how.strategy}) needs a parent",
            "train with strategy scratch, or adapt: catalog adapt REF --data FILE --out DIR",
        )
    steps = steps or (how.steps if recipe else None) or STEPS
    return Plan(how, steps, seed, batch or how.batch or 64)


def default_name(family: str, sets: Sequence[ShowerSet]) -> str:
    """A name for a model that nobody named."""
    return f"{family}-{sets[0].detector.name}"[:64]


def train(
    family_name: str,
    sets: Sequence[ShowerSet],
    out: Path,
    plan: Plan,
    card: Mapping[str, Any],
    running: Running,
    kept: int | None = None,
    domain: Mapping[str, Any] | None = None,
    dataset: str = "",
    size: Mapping[str, Any] | None = None,
) -> TrainResult | None:
    """Train on several detectors; the result generates for the first.

    The last `kept` showers of the first set choose the step (by w1_geomean); the others train.
    Under torchrun every process calls this; only the first one writes, the others return None.
    `card` and `domain` hold what its card should say that the showers do not, `dataset` what it
    should say instead of the names of all sets, `size` what of the family's configuration differs.

    Raises
    ------
    UsageError, NotFound, MissingExtra
    """
    refuse_taken(out)
    started, meter = time.monotonic(), Meter()
    family = load_family(family_name)
    start = Checkpoint(family_name, {**family.fresh(sets), **(size or {})}, {})
    kept = kept or min(_MOST_KEPT, round(_KEPT * len(sets[0])))
    data, judge = _data(family.shape(start.config), sets, kept)
    run = family.train(data, start, plan, judge, running)
    if not first_rank():
        return None
    spent: dict[str, Any] = {
        "device": run.device,
        "seconds": round(time.monotonic() - started + run.before_s, 1),
        "energy_kwh": meter.kwh(),
    }
    if dataset:
        spent["dataset"] = dataset
    record = training_record(sets, plan, judged_on=kept).model_copy(update=spent)
    with new_folder(out) as folder:
        done = _write(folder, family, run, sets, {**card, "training": record}, domain or {})
    if running.folder is not None:
        shutil.rmtree(running.folder, ignore_errors=True)
    return TrainResult(out, done, run, spent["seconds"])


def _data(shape: Shape, sets: Sequence[ShowerSet], kept: int) -> tuple[list[TrainingData], Judge]:
    if any(len(showers) < MIN_SHOWERS for showers in sets):
        raise UsageError(f"a set of showers has fewer than {MIN_SHOWERS}: too few to train on")
    first, cut = sets[0], len(sets[0]) - kept
    beam, judge = make_judge(first.part(cut), shape, _JUDGED)
    learn = (first.part(0, cut), *sets[1:])
    return [training_data(showers, shape, beam) for showers in learn], judge


def _write(
    folder: Path,
    family: Family,
    run: Trained,
    sets: Sequence[ShowerSet],
    card: Mapping[str, Any],
    domain: Mapping[str, Any],
) -> Card:
    made = export_version(folder, family, run.checkpoint, sets[0])
    showers, first = sum(len(each) for each in sets), sets[0].detector.name
    summary = f"{family.name} trained on {showers} showers of {first}"
    if len(sets) > 1:
        summary += " and other detectors"
    document = Card(
        task="shower-generation",
        family=family.name,
        inputs=made.inputs,
        outputs=made.outputs,
        domain=made.domain.model_copy(update=dict(domain)),
        **{"summary": summary, **card},
    )
    return finish_version(folder, document, sets)


def line(plan: Plan, judged: Judged, pace: Pace) -> str:
    """One judgement in words."""
    loss = "" if judged.loss is None else f"  loss {judged.loss:.5g}"
    return (
        f"step {judged.step}/{plan.steps}{loss}  w1 {judged.score:.4f}  "
        f"{pace.showers_per_s:,.0f} showers/s, waiting for data {pace.waiting:.1%}  "
        f"{_left(pace.seconds_left)} left"
    )


def as_dict(done: TrainResult) -> dict[str, Any]:
    """The JSON of `catalog train`."""
    run = done.run
    return {
        "folder": str(done.folder),
        "name": done.card.name,
        "family": done.card.family,
        "metric": "w1_geomean",
        "best": min(judged.score for judged in run.curve),
        "best_step": run.best,
        "steps": run.steps,
        "stopped": run.stopped,
        "curve": [asdict(judged) for judged in run.curve],
        "device": run.device,
        "showers_per_s": round(run.pace.showers_per_s, 1),
        "waiting": round(run.pace.waiting, 4),
        "seconds": done.seconds,
        "energy_kwh": done.card.training.energy_kwh if done.card.training else None,
    }


def human(done: TrainResult) -> str:
    """Where it is and how good."""
    value = as_dict(done)
    return (
        f"{value['name']}: w1_geomean {value['best']:.3g} on the showers that chose step "
        f"{value['best_step']} of {value['steps']} (ended by: {value['stopped']})\n"
        f"took {done.seconds:.0f} s on {value['device']}, {value['showers_per_s']:,.0f} showers/s\n"
        f"next: catalog validate {done.folder}/ --data FILE; catalog publish {done.folder}"
    )


def _left(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
