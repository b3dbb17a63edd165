"""Measure what adapting gains: parents x showers x draws against scratch, on unseen showers.

    python -m sample_models.measure [--parents vae-em ...] [--recipes bitfit ...]

The target is Par04 Si-W electrons. A draw is another order of its showers. Several learning rates
can be tried with every recipe, and each is printed. The rows of catalog/adapt/defaults.yaml are
made of what this prints.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from catalog.adapt.adapt import adapt, unseen
from catalog.adapt.recipe import Recipe, load_recipe
from catalog.physics.validate import compare
from catalog.pull import Pulled, read_folder
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers

HERE = Path(__file__).parent
TARGET = HERE / "data" / "par04-siw-electron.h5"


def main() -> None:
    """Print one line per parent, recipe, rate and number of showers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--target", type=Path, default=TARGET)
    add("--parents", nargs="+", default=["vae-pbwo4", "vae-em", "vae-clic-siw"])
    add("--recipes", nargs="+", default=["scratch", "full"], help="shipped names or YAML files")
    add("--rates", nargs="*", type=float, help="learning rates; default: the recipe's own")
    add("--showers", nargs="+", type=int, default=[300, 100])
    add("--draws", type=int, default=3)
    add("--steps", type=int, default=800)
    asked = parser.parse_args()
    draws = list(_draws(read_showers(asked.target), asked.draws))
    parents = [read_folder(HERE / "versions" / name) for name in asked.parents]
    for n in asked.showers:
        for parent in parents:
            _print(f"n={n} {parent.name} before", [_before(parent, d, n) for d in draws])
        for name in asked.recipes:
            for recipe in _with_rates(load_recipe(name), asked.rates or []):
                starts = parents[:1] if recipe.strategy == "scratch" else parents
                for parent in starts:
                    found = [_reached(parent, d, n, asked.steps, recipe) for d in draws]
                    label = "" if recipe.strategy == "scratch" else f" {parent.name}"
                    _print(f"n={n}{label} {recipe.name} lr={recipe.backbone_lr}", found)


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
