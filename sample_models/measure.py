"""Measure what adapting gains: parents x recipes x showers x draws, on unseen showers.

    python -m sample_models.measure [--parents vae-sim ...] [--recipes bitfit ...] [--write]

The target is Par04 Si-W electrons. A draw is another order of its showers. Several learning rates
can be tried with every recipe, and each is printed. `--write` makes the rows of
catalog/adapt/defaults.yaml for the parents' family of it: per recipe and number of showers the rate
with the lowest mean over parents and draws.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import catalog.adapt.recipe
from catalog.adapt.adapt import adapt, unseen
from catalog.adapt.recipe import Recipe, load_recipe, measured
from catalog.physics.validate import compare
from catalog.pull import Pulled, read_folder
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers

HERE = Path(__file__).parent
TARGET = HERE / "data" / "par04-siw-electron.h5"
DEFAULTS = Path(catalog.adapt.recipe.__file__).with_name("defaults.yaml")


def main() -> None:
    """Print one line per parent, recipe, rate and number of showers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--target", type=Path, default=TARGET)
    add("--parents", nargs="+", default=["vae-sim"])
    add("--recipes", nargs="+", default=["scratch", "full"], help="shipped names or YAML files")
    add("--rates", nargs="*", type=float, help="learning rates; default: the recipe's own")
    add("--showers", nargs="+", type=int, default=[300, 100])
    add("--draws", type=int, default=3)
    add("--steps", type=int, default=800)
    add("--write", action="store_true", help="rewrite this family's rows of defaults.yaml")
    asked = parser.parse_args()
    draws = list(_draws(read_showers(asked.target), asked.draws))
    parents = [read_folder(HERE / "versions" / name) for name in asked.parents]
    rows = []
    for n in asked.showers:
        for parent in parents:
            _print(f"n={n} {parent.name} before", [_before(parent, d, n) for d in draws])
        for name in asked.recipes:
            tried = [
                (_measure(recipe, parents, draws, n, asked.steps), recipe)
                for recipe in _with_rates(load_recipe(name), asked.rates or [])
            ]
            w1, best = min(tried, key=lambda item: item[0])
            rows.append(_row(parents, best, n, w1, asked))
    if asked.write:
        _write(parents[0].card.family or "", rows)


def _measure(
    recipe: Recipe, parents: list[Pulled], draws: list[ShowerSet], n: int, steps: int
) -> float:
    """Mean w1_geomean over parents and draws; a line for every parent."""
    scratch, means = recipe.strategy == "scratch", []
    for parent in parents[:1] if scratch else parents:
        found = [_reached(parent, draw, n, steps, recipe) for draw in draws]
        start = "" if scratch else f" {parent.name}"
        _print(f"n={n}{start} {recipe.name} lr={recipe.backbone_lr}", found)
        means.append(np.mean([w1 for w1, _, _ in found]))
    return float(np.mean(means))


def _row(
    parents: list[Pulled], recipe: Recipe, n: int, w1: float, asked: argparse.Namespace
) -> dict[str, Any]:
    """A row of defaults.yaml."""
    settings: dict[str, Any] = {"steps": asked.steps}
    used = measured(recipe, parents[0].card.family or "", n)  # as `adapt` fills it in
    if used.backbone_lr is not None:
        settings["backbone_lr"] = used.backbone_lr
    start = "" if recipe.strategy == "scratch" else f"{', '.join(p.name for p in parents)} to "
    run = f"{start}{asked.target.stem}, {asked.draws} draws, {date.today()}"
    return {
        "family": parents[0].card.family, "recipe": recipe.name, "showers": n,
        "w1": round(w1, 4), "settings": settings, "run": run,
    }  # fmt: skip


def _write(family: str, rows: list[dict[str, Any]]) -> None:
    """Replace the rows of a family; comments and other families stay."""
    lines = DEFAULTS.read_text(encoding="utf-8").splitlines()
    others = [line for line in lines if f'"family": "{family}"' not in line]
    own = [f"- {json.dumps(row)}" for row in rows]
    DEFAULTS.write_text("\n".join([*others, *own]) + "\n", encoding="utf-8")


def _with_rates(recipe: Recipe, rates: list[float]) -> list[Recipe]:
    return [recipe.model_copy(update={"backbone_lr": rate}) for rate in rates] or [recipe]


def _draws(showers: ShowerSet, draws: int) -> Iterator[ShowerSet]:
    """The showers in file order, then in random orders."""
    yield showers
    for draw in range(1, draws):
        order = np.random.default_rng(draw).permutation(len(showers))
        yield replace(
            showers,
            energies=showers.energies[order],
            incident_gev=showers.incident_gev[order],
            theta_rad=showers.theta_rad[order],
        )


def _before(parent: Pulled, target: ShowerSet, showers: int) -> tuple[float, float, float]:
    found = compare({"x": parent}, unseen(target, showers))
    return found.metrics["x"]["w1_geomean"], found.floor["w1_geomean"], 0.0


def _reached(
    parent: Pulled, target: ShowerSet, showers: int, steps: int, recipe: Recipe
) -> tuple[float, float, float]:
    """(w1_geomean, floor, seconds) on the showers after the first `showers`."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        adapt(parent, target, showers=showers, steps=steps, out=out, recipe=recipe)
        seconds = time.monotonic() - started
        found = compare({"x": read_folder(out)}, unseen(target, showers))
    return found.metrics["x"]["w1_geomean"], found.floor["w1_geomean"], seconds


def _print(label: str, found: list[tuple[float, float, float]]) -> None:
    w1, floor, seconds = np.array(found).T
    each = " ".join(f"{value:.4f}" for value in w1)
    print(
        f"{label:36s} w1 {w1.mean():.4f} [{each}]  floor {floor.mean():.4f}"
        f"  {seconds.mean():.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
