"""Measure what adapting gains: parents x showers x draws against scratch, on unseen showers.

    python -m sample_models.measure [--parents vae-em ...] [--showers 300 100] [--draws 3]

The target is Par04 Si-W electrons. A draw is another order of its showers. A grid of learning
rates is tried for adapting and for scratch, and each is printed: both are seen at their best.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from catalog.adapt.adapt import Strategy, adapt, unseen
from catalog.physics.validate import compare
from catalog.pull import Pulled, read_folder
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers

HERE = Path(__file__).parent
TARGET = HERE / "data" / "par04-siw-electron.h5"


def main() -> None:
    """Print one line per parent, strategy, rate and number of showers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parents", nargs="+", default=["vae-pbwo4", "vae-em", "vae-clic-siw"])
    parser.add_argument("--showers", nargs="+", type=int, default=[300, 100])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--scratch-rates", nargs="*", type=float, default=[4e-3, 8e-3, 1.6e-2])
    parser.add_argument("--rates", nargs="*", type=float, default=[1e-3])
    asked = parser.parse_args()
    draws = list(_draws(read_showers(TARGET), asked.draws))
    parents = [read_folder(HERE / "versions" / name) for name in asked.parents]
    for n in asked.showers:
        for rate in asked.scratch_rates:
            found = [_reached(parents[0], d, n, asked.steps, "scratch", rate) for d in draws]
            _print(f"n={n} scratch lr={rate:g}", found)
        for parent in parents:
            _print(f"n={n} {parent.name} before", [_before(parent, d, n) for d in draws])
            for rate in asked.rates:
                found = [_reached(parent, d, n, asked.steps, "full", rate) for d in draws]
                _print(f"n={n} {parent.name} adapted lr={rate:g}", found)


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
    parent: Pulled,
    target: ShowerSet,
    showers: int,
    steps: int,
    strategy: Strategy,
    lr: float | None,
) -> tuple[float, float, float]:
    """(w1_geomean, floor, seconds) on the showers after the first `showers`."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        adapt(parent, target, showers=showers, steps=steps, out=out, strategy=strategy, lr=lr)
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
