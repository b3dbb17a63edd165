"""A few gradient steps on the best models: a tier of its own, because it needs torch and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from catalog.adapt.family import (
    CHECKPOINT_FILE,
    Checkpoint,
    Family,
    Plan,
    Running,
    load_family,
    read_checkpoint,
)
from catalog.adapt.judge import make_judge, training_data
from catalog.adapt.recipe import Recipe, default_recipe
from catalog.errors import CatalogError, MissingExtra
from catalog.pull import Pulled
from catalog.showers import ShowerSet

STEPS = 40
TRIED = 3  # models, best first
_BATCH = 64
_HELD_OUT = 0.5  # share of the showers that judge; the rest train
_JUDGED = 300  # showers generated to be judged


def try_out(
    parents: Mapping[str, Pulled], target: ShowerSet, seed: int, say: Callable[[str], None]
) -> tuple[dict[str, float], float | None]:
    """w1_geomean on held-out showers after 40 steps: of the first three models, and of scratch.

    All are judged on the same half of the showers, which trains none of them; scratch is of the
    first model's family.

    Raises
    ------
    MissingExtra
        torch, or the package of a family, is not installed.
    """
    reached: dict[str, float] = {}
    scratch: float | None = None
    for ref, parent in list(parents.items())[:TRIED]:
        name = parent.card.family or ""
        try:
            family = load_family(name)
            start = read_checkpoint(parent.folder / CHECKPOINT_FILE)
            say(f"training {ref} for {STEPS} steps")
            reached[ref] = _reached(family, start, target, default_recipe(name, len(target)), seed)
            if scratch is None:
                say(f"training {name} from scratch for {STEPS} steps")
                fresh = Checkpoint(name, family.fresh([target]), {})
                recipe = default_recipe(name, len(target), scratch=True)
                scratch = _reached(family, fresh, target, recipe, seed)
        except MissingExtra:
            raise
        except CatalogError as exc:  # one broken checkpoint must not hide the others
            say(f"{ref}: not tried: {exc.message}")
    return reached, scratch


def _reached(
    family: Family, start: Checkpoint, target: ShowerSet, recipe: Recipe, seed: int
) -> float:
    """The last judgement, not the best: the showers that judge must choose nothing."""
    shape = family.shape(start.config)
    cut = len(target) - round(_HELD_OUT * len(target))
    beam, judge = make_judge(target.part(cut), shape, _JUDGED)
    data = training_data(target.part(0, cut), shape, beam)
    plan = Plan(recipe, STEPS, seed, min(recipe.batch or _BATCH, cut))
    return family.train([data], start, plan, judge, Running()).curve[-1].score
