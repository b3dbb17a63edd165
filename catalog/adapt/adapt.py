"""Adapt a pulled version to a new detector, on the first few of the user's showers."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from catalog.adapt.family import (
    CHECKPOINT_FILE,
    Checkpoint,
    Family,
    Plan,
    Progress,
    load_family,
    read_checkpoint,
    write_checkpoint,
)
from catalog.adapt.judge import make_judge, training_data
from catalog.card import CARD_FILE, Card, Lineage, Training, card_yaml, read_card
from catalog.compat import MIN_SHOWERS as JUDGED_AT_LEAST
from catalog.compat import cannot_adapt, check_target
from catalog.domain.domain import Domain, ShapeSpec
from catalog.errors import BadFile, UsageError, cannot_write
from catalog.pull import Pulled
from catalog.seen import keys_of, read_seen, write_seen
from catalog.showers import ShowerSet
from catalog.testvectors import MODEL_FILE, write_test_vectors

Strategy = Literal["full", "scratch"]
MIN_SHOWERS = 20
_CHOOSE = 0.25  # share of the showers that choose the step and do not train
_JUDGED = 300  # showers generated each time the step is judged
_BATCH = 64


@dataclass(frozen=True)
class AdaptResult:
    """What was done; `folder` is a version folder, ready to be published."""

    folder: Path
    card: Card
    strategy: Strategy
    showers: int
    steps: int
    seed: int
    seconds: float


def adapt(
    parent: Pulled,
    target: ShowerSet,
    *,
    showers: int,
    steps: int,
    out: Path,
    strategy: Strategy = "full",
    seed: int = 0,
    lr: float | None = None,
    progress: Progress | None = None,
) -> AdaptResult:
    """Train on the first `showers` of `target` and write the child's version folder to `out`.

    A quarter of them chooses the step by w1_geomean; the others train. "full" continues from the
    parent's checkpoint, "scratch" trains the same architecture from nothing on the same showers
    for the same steps, with its own
    learning rate. `lr` None takes the family's. The same inputs give the same bytes.

    Raises
    ------
    UsageError, BadFile, MissingExtra, NotFound
    """
    _check(parent, target, showers, steps, strategy)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty", "give another --out, or remove it")
    started = time.monotonic()
    checkpoint, family = _open(parent)
    used = _with_fraction(target.part(0, showers))
    plan = Plan(strategy, steps, seed, min(_BATCH, showers), lr)
    trained = _train(family, checkpoint, used, plan, progress or _silent)
    with _beside(out) as folder:
        card = _write(folder, family, trained, parent, used, plan)
    return AdaptResult(
        out, card, strategy, showers, steps, seed, round(time.monotonic() - started, 2)
    )


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


def _silent(done: int, steps: int) -> None:
    pass


def _check(parent: Pulled, target: ShowerSet, showers: int, steps: int, strategy: Strategy) -> None:
    if strategy not in ("full", "scratch"):
        raise UsageError(f"unknown strategy {strategy!r}; known: full, scratch")
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


def _with_fraction(used: ShowerSet) -> ShowerSet:
    """One sampling fraction for training, judging and card: if none is known, these showers'."""
    if used.detector.sampling_fraction is not None:
        return used
    stated = {"sampling_fraction": used.sampling_fraction()}
    return replace(used, detector=used.detector.model_copy(update=stated))


def _train(
    family: Family, start: Checkpoint, used: ShowerSet, plan: Plan, progress: Progress
) -> Checkpoint:
    shape = family.shape(start.config)
    cut = len(used) - max(5, round(_CHOOSE * len(used)))
    beam, judge = make_judge(used.part(cut), shape, _JUDGED)
    data = training_data(used.part(0, cut), shape, beam)
    return family.train([data], start, plan, judge, progress)


def _write(
    folder: Path, family: Family, trained: Checkpoint, parent: Pulled, used: ShowerSet, plan: Plan
) -> Card:
    """Fill a version folder. No date, no duration: the same run writes the same bytes."""
    write_checkpoint(trained, folder / CHECKPOINT_FILE)
    inputs, outputs = family.export(trained, folder / MODEL_FILE)
    shape = family.shape(trained.config)
    spec = ShapeSpec(kind=shape.kind, depth_x0=shape.depth_x0, a=shape.a, b_rm=shape.b_rm)
    domain = Domain(
        detector=used.detector,
        particles=(used.pdg,),
        energy_gev=(float(used.incident_gev.min()), float(used.incident_gev.max())),
        theta_rad=(float(used.theta_rad.min()), float(used.theta_rad.max())),
        shape=spec,
    )
    card = parent.card.model_copy(
        update={
            "name": _child_name(parent.card.name, used.detector.name, plan.strategy),
            "summary": _summary(parent, used.detector.name, len(used), plan.strategy),
            "domain": domain,
            "inputs": tuple(inputs),
            "outputs": tuple(outputs),
            "training": _training(used, plan),
            "lineage": _lineage(parent, plan.strategy),
            "physics": (),
        }
    )
    (folder / CARD_FILE).write_text(card_yaml(card), encoding="utf-8")
    write_test_vectors(folder, card)
    ancestors = [read_seen(parent.folder)] if plan.strategy != "scratch" else []
    write_seen(folder, keys_of(used), *ancestors)
    return read_card(folder)


def _training(used: ShowerSet, plan: Plan) -> Training:
    recipe = {"strategy": plan.strategy, "batch": plan.batch, "choosing_share": _CHOOSE}
    if plan.lr is not None:
        recipe["lr"] = plan.lr
    return Training(
        dataset=Path(used.source).name,
        dataset_digest=_digest(used.digest),
        showers=len(used),
        steps=plan.steps,
        seed=plan.seed,
        recipe=recipe,
    )


def _digest(text: str) -> str | None:
    found = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", text)
    return f"sha256:{found[1]}" if found else None


def _lineage(parent: Pulled, strategy: str) -> Lineage | None:
    """A model trained from scratch has no parent: it shares the architecture, not one weight."""
    if strategy == "scratch":
        return None
    return Lineage(parent=parent.digest, parent_ref=parent.ref, recipe=strategy)


def _child_name(parent: str, detector: str, strategy: str) -> str:
    base = parent.split("-")[0]
    return f"{base}-{detector}{'-scratch' if strategy == 'scratch' else ''}"[:64]


def _summary(parent: Pulled, detector: str, showers: int, strategy: str) -> str:
    if strategy == "scratch":
        return f"{parent.card.family} trained from scratch on {showers} showers of {detector}"
    return f"{parent.card.name} adapted to {detector} on {showers} showers of full simulation"


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when everything in it is written."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if out.is_dir():
            out.rmdir()  # empty, or adapt() would have refused it
        folder.replace(out)
    except OSError as exc:
        raise cannot_write(out, exc) from exc
    finally:
        shutil.rmtree(folder, ignore_errors=True)
