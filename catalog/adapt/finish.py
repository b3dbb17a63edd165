"""A whole adaptation: train, train the rival from scratch, compare both with before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from catalog.adapt.adapt import AdaptResult, adapt, settled, unseen
from catalog.adapt.compare import compare
from catalog.adapt.family import Progress, Running, first_rank
from catalog.adapt.recipe import Recipe, default_recipe
from catalog.adapt.record import Finished
from catalog.adapt.version import refuse_taken, unfinished
from catalog.errors import cannot_write
from catalog.pull import Pulled, read_folder
from catalog.seen import refuse_seen
from catalog.showers import ShowerSet


def adapt_and_compare(
    parent: Pulled,
    target: ShowerSet,
    out: Path,
    *,
    showers: int,
    recipe: Recipe | None,
    steps: int | None,
    seed: int,
    running: Running,
    rival: bool,
    scratch: Path | None,
    told: Callable[[str], Progress],
) -> Finished | None:
    """Adapt on the first `showers`, and judge on the others.

    Everything unfinished lies in one folder beside `out`: killed anywhere, it goes on from the
    last snapshot if `running.resume`. Under torchrun all but the first process return None.

    Parameters
    ----------
    rival : also train the same family from nothing, for as many steps and as much time
    scratch : where the rival is kept; None throws it away
    told : makes the progress line of one training

    Raises
    ------
    UsageError, BadFile, MissingExtra, NotFound
    """
    refuse_seen({parent.ref: parent}, unseen(target, showers), showers)  # before any training
    for folder in filter(None, (out, scratch)):
        refuse_taken(folder)
    kept = unfinished(out)

    def train(what: str, recipe: Recipe) -> AdaptResult | None:
        place = kept / what
        if first_rank():  # a version without the comparison is made again, from the snapshot
            shutil.rmtree(place / "version", ignore_errors=True)
        how = replace(running, folder=place, progress=told(what))
        return adapt(
            parent, target, showers=showers, out=place / "version", recipe=recipe, steps=steps,
            seed=seed, running=how,
        )  # fmt: skip

    recipe, steps = settled(parent, showers, recipe, steps)
    adapted, other = train("adapting", recipe), None
    if rival and recipe.strategy != "scratch":
        other = train("from scratch", default_recipe(parent.card.family or "", showers, True))
    if adapted is None:
        return None
    made = read_folder(other.folder) if other else None
    child = read_folder(adapted.folder)
    gain = compare(parent, child, target, showers=showers, scratch=made, seed=seed)
    if other and scratch:
        other = replace(other, folder=_move(other.folder, scratch))
    adapted = replace(adapted, folder=_move(adapted.folder, out))
    shutil.rmtree(kept, ignore_errors=True)
    return Finished(parent, target, adapted, other, gain)


def _move(folder: Path, to: Path) -> Path:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.is_dir():
            to.rmdir()  # empty, or refuse_taken() would have refused it
        shutil.move(folder, to)
    except OSError as exc:
        raise cannot_write(to, exc) from exc
    return to
