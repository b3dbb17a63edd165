"""A whole adaptation: train, train the rival from scratch, compare both with before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from catalog.adapt.adapt import AdaptResult, adapt, unseen
from catalog.adapt.compare import compare
from catalog.adapt.family import Progress
from catalog.adapt.recipe import Recipe, default_recipe
from catalog.adapt.record import Finished
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
    budget_s: float | None,
    rival: bool,
    scratch: Path | None,
    told: Callable[[str], Progress],
) -> Finished:
    """Adapt on the first `showers`, and judge on the others.

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
    train = partial(adapt, parent, target, showers=showers, seed=seed, budget_s=budget_s)
    adapted = train(out=out, recipe=recipe, steps=steps, progress=told("adapting"))
    with _kept(scratch) as folder:
        other: AdaptResult | None = None
        if rival and adapted.recipe.strategy != "scratch":
            fresh = default_recipe(parent.card.family or "", showers, scratch=True)
            line = told("from scratch")
            other = train(out=folder, recipe=fresh, steps=adapted.steps, progress=line)
        made = read_folder(folder) if other else None
        gain = compare(parent, read_folder(out), target, showers=showers, scratch=made, seed=seed)
    return Finished(parent, target, adapted, other, gain)


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place) / "scratch"
