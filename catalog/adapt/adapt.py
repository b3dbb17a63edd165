"""Adapt a pulled version to a new detector, on the first few of the user's showers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.adapt.energy import Meter
from catalog.adapt.family import (
    CHECKPOINT_FILE,
    Checkpoint,
    Family,
    Plan,
    Running,
    Trained,
    first_rank,
    load_family,
    read_checkpoint,
)
from catalog.adapt.judge import make_judge, training_data
from catalog.adapt.recipe import Recipe, default_recipe, measured
from catalog.adapt.surgery import remesh
from catalog.adapt.version import (
    export_version,
    finish_version,
    new_folder,
    refuse_taken,
    training_record,
)
from catalog.card import Card, Lineage
from catalog.compat import MIN_SHOWERS as JUDGED_AT_LEAST
from catalog.compat import cannot_adapt, check_target
from catalog.errors import BadFile, UsageError
from catalog.pull import Pulled
from catalog.seen import read_seen
from catalog.showers import ShowerSet

MIN_SHOWERS = 20
STEPS = 800
_CHOOSE = 0.25  # share of the showers that choose the step and do not train
_JUDGED = 300  # showers generated each time the step is judged
_BATCH = 64


@dataclass(frozen=True)
class AdaptResult:
    """What was done; `folder` is a version folder, ready to be published.

    steps : planned; `run.steps` were done
    seconds : all of them, also those before it was stopped and resumed
    energy_kwh : of the whole machine during training, None where it has no counters
    """

    folder: Path
    card: Card
    recipe: Recipe
    showers: int
    steps: int
    seed: int
    seconds: float
    run: Trained
    energy_kwh: float | None


def adapt(
    parent: Pulled,
    target: ShowerSet,
    *,
    showers: int,
    out: Path,
    recipe: Recipe | None = None,
    steps: int | None = None,
    seed: int = 0,
    running: Running | None = None,
) -> AdaptResult | None:
    """Train on the first `showers` of `target` and write the child's version folder to `out`.

    A quarter of them chooses the step by w1_geomean; the others train. Without a recipe, the one
    that was measured best for this family and about as many showers. Strategy "scratch" trains the
    parent's architecture from nothing. The same inputs give the same bytes, unless a budget ends
    the training early. Under torchrun every process calls this; only the first one writes, the
    others return None.

    Raises
    ------
    UsageError, BadFile, MissingExtra, NotFound
    """
    recipe, steps = settled(parent, showers, recipe, steps)
    check_possible(parent, target, showers, steps)
    if first_rank():
        refuse_taken(out)
    started, meter = time.monotonic(), Meter()
    checkpoint, family = _open(parent)
    used = _with_fraction(target.part(0, showers))
    plan = Plan(recipe, steps, seed, _batch(recipe, showers))
    run = _train(family, checkpoint, used, plan, running or Running())
    if not first_rank():
        return None
    energy = None if run.before_s else meter.kwh()  # an earlier process took the rest
    with new_folder(out) as folder:
        card = _write(folder, family, run, parent, used, plan)
    seconds = round(time.monotonic() - started + run.before_s, 2)
    return AdaptResult(out, card, recipe, showers, steps, seed, seconds, run, energy)


def settled(
    parent: Pulled, showers: int, recipe: Recipe | None, steps: int | None
) -> tuple[Recipe, int]:
    """The recipe and the steps that an adaptation takes, where they were left open."""
    family = parent.card.family or ""
    recipe = measured(recipe or default_recipe(family, showers), family, showers)
    return recipe, steps if steps is not None else recipe.steps or STEPS


def unseen(target: ShowerSet, showers: int) -> ShowerSet:
    """The showers that an adaptation on the first `showers` has not seen.

    Raises
    ------
    UsageError
        Too few are left to judge by.
    """
    left = len(target) - showers
    if left < JUDGED_AT_LEAST:
        raise UsageError(
            f"{target.source or 'the target'} has {len(target)} showers; after {showers} to adapt "
            f"on, {max(left, 0)} are unseen, too few to judge by (at least {JUDGED_AT_LEAST})",
            f"adapt on fewer, at most --showers {max(0, len(target) - JUDGED_AT_LEAST)}, "
            "or give a larger file",
        )
    return target.part(showers)


def check_possible(parent: Pulled, target: ShowerSet, showers: int, steps: int) -> None:
    """Refuse what cannot be adapted.

    Raises
    ------
    UsageError, NothingFits
    """
    if steps < 1:
        raise UsageError(f"{steps} steps are no training", "give at least --steps 1")
    if showers < MIN_SHOWERS:
        raise UsageError(
            f"{showers} showers are too few to adapt on", f"give at least {MIN_SHOWERS}"
        )
    if showers > len(target):
        raise UsageError(
            f"asked for {showers} showers of {len(target)}",
            f"give more data, or --showers {len(target)}",
        )
    check_target(target)
    if why := cannot_adapt(parent.card, target):
        raise UsageError(
            f"{parent.ref} cannot be adapted to {target.detector.name}: {why}",
            "see which can: catalog recommend --data FILE",
        )


def _open(parent: Pulled) -> tuple[Checkpoint, Family]:
    path = parent.folder / CHECKPOINT_FILE
    if not path.is_file():
        raise UsageError(
            f"{parent.ref} has no {CHECKPOINT_FILE}: it can be used, but not adapted",
            "choose another parent: catalog recommend --data FILE",
        )
    checkpoint = read_checkpoint(path)
    if checkpoint.family != parent.card.family:
        raise BadFile(
            f"{path}: a checkpoint of {checkpoint.family!r}, but its card says "
            f"{parent.card.family!r}"
        )
    return checkpoint, load_family(checkpoint.family)


def _batch(recipe: Recipe, showers: int) -> int:
    """Showers per step: what every process of torchrun can have an equal share of."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    batch = min(recipe.batch or _BATCH, showers)
    return max(batch - batch % world, world)


def _with_fraction(used: ShowerSet) -> ShowerSet:
    """One sampling fraction for training, judging and card: if none is known, these showers'."""
    if used.detector.sampling_fraction is not None:
        return used
    stated = {"sampling_fraction": used.sampling_fraction()}
    return replace(used, detector=used.detector.model_copy(update=stated))


def _train(
    family: Family, start: Checkpoint, used: ShowerSet, plan: Plan, running: Running
) -> Trained:
    start, plan = remesh(start, family, plan)
    shape = family.shape(start.config)
    cut = len(used) - max(5, round(_CHOOSE * len(used)))
    beam, judge = make_judge(used.part(cut), shape, _JUDGED)
    data = training_data(used.part(0, cut), shape, beam)
    return family.train([data], start, plan, judge, running)


def _write(
    folder: Path, family: Family, run: Trained, parent: Pulled, used: ShowerSet, plan: Plan
) -> Card:
    """Fill a version folder."""
    made = export_version(folder, family, run.checkpoint, used)
    card = parent.card.model_copy(
        update={
            "name": child_name(parent, used, plan.scratch),
            "summary": _summary(parent, used.detector.name, len(used), plan.scratch),
            "domain": made.domain,
            "inputs": made.inputs,
            "outputs": made.outputs,
            "training": training_record([used], plan, choosing_share=_CHOOSE),
            "lineage": _lineage(parent, plan),
            "physics": (),
        }
    )
    ancestors = [] if plan.scratch else [read_seen(parent.folder)]
    return finish_version(folder, card, [used], ancestors)


def _lineage(parent: Pulled, plan: Plan) -> Lineage | None:
    """A model trained from scratch has no parent: it shares the architecture, not one weight."""
    if plan.scratch:
        return None
    return Lineage(parent=parent.digest, parent_ref=parent.ref, recipe=plan.recipe.name)


def child_name(parent: Pulled, target: ShowerSet, scratch: bool = False) -> str:
    """The name of an adapted model: what it was, and for which detector it is."""
    base = parent.card.name.split("-")[0]
    return f"{base}-{target.detector.name}{'-scratch' if scratch else ''}"[:64]


def _summary(parent: Pulled, detector: str, showers: int, scratch: bool) -> str:
    if scratch:
        return f"{parent.card.family} trained from scratch on {showers} showers of {detector}"
    return f"{parent.card.name} adapted to {detector} on {showers} showers"
