"""A tiny learner with every kind of part, and a run of it as a process that can be killed.

    python -m tests.sample_models.toy_learner OUT.json [FOLDER]

trains it, snapshots after every step in FOLDER, and writes curve and weights.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from catalog.adapt.family import Checkpoint, Plan, Running, Trained
from catalog.adapt.recipe import Recipe
from sample_models.batches import Batch, lone_draw
from sample_models.learner import Player, start_weights
from sample_models.tools import repeatable
from sample_models.trainer import fit

STEPS = 40


class Toy(nn.Module):  # type: ignore[misc]
    """y = f(x), in an embedder, two blocks and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3) -> (N, 4)."""
        x = self.embed(x)
        for block in self.blocks:
            x = torch.tanh(block(x))
        return self.head(self.norm(x))


def part_of(parameter: str) -> str:
    where = parameter.split(".")
    if where[0] == "blocks":
        return f"backbone.{where[1]}"
    return {"embed": "embedder", "norm": "backbone.1"}.get(where[0], "head")


class ToyLearner:
    """Fits noisy targets; every step draws noise, so a wrong random state shows at once."""

    rate, ema, schedule = 1e-2, 0.9, "cosine"

    def __init__(self, start: Checkpoint, plan: Plan, pause: float = 0.0) -> None:
        self.module, self.pause = Toy(), pause
        start_weights(self.module, start, plan, part_of)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(50, 3)).astype(np.float32)
        y = np.tanh(x @ rng.normal(size=(3, 4))).astype(np.float32)
        self.players: Mapping[str, Player] = {"": Player(clip=1.0)}
        self.examples: Mapping[str, Any] = {"x": x, "y": y}

    def part_of(self, parameter: str) -> str:
        return part_of(parameter)

    def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        time.sleep(self.pause)
        x, y = batch.rows["x"], batch.rows["y"]
        yield "", ((self.module(x + 0.1 * batch.draw.normal(3)) - y) ** 2).mean()

    def sample(self, device: torch.device) -> Tensor:
        noise = lone_draw(1, 20, device).normal(3)
        return self.module(noise)


def parent(seed: int = 5) -> Checkpoint:
    """Some weights to start from."""
    with repeatable(seed):
        weights = {name: value.numpy().copy() for name, value in Toy().state_dict().items()}
    return Checkpoint("toy", {}, weights)


def judge(showers: Any) -> float:
    return float(np.abs(showers - 0.3).mean())


def run(
    recipe: Recipe,
    steps: int = STEPS,
    learner: type[ToyLearner] = ToyLearner,
    judge: Any = judge,
    pause: float = 0.0,
    **running: Any,
) -> Trained:
    plan = Plan(recipe, steps, seed=3, batch=8)
    with repeatable(plan.seed):
        return fit(learner(parent(), plan, pause), {}, "toy", plan, judge, Running(**running))


def as_json(done: Trained) -> str:
    weights = {name: value.tolist() for name, value in done.checkpoint.weights.items()}
    curve = [[j.step, j.loss, j.score] for j in done.curve]
    return json.dumps({"curve": curve, "weights": weights, "best": done.best})


def main() -> None:
    out, folder = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
    pause = 0.05 if folder else 0.0
    done = run(Recipe(), folder=folder, resume=True, snapshot_s=0.0, pause=pause)
    temporary = out.with_suffix(f".{done.device.count('2')}.tmp")
    temporary.write_text(as_json(done))
    temporary.replace(out)


if __name__ == "__main__":
    main()
