"""What a family gives the training loop, and which of its parameters a recipe trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from catalog.adapt.family import Checkpoint, Plan
from catalog.adapt.recipe import Recipe, learning_rates
from catalog.errors import UsageError
from sample_models.batches import Batch
from sample_models.lora import add_lora
from sample_models.tools import load_weights, weights_of

ADAM = partial(Adam, betas=(0.9, 0.98))


@dataclass(frozen=True)
class Player:
    """One optimiser of a learner.

    prefix : of the names of the parameters it moves; "" is all of them
    rate : factor on the learning rates of the plan
    clip : largest norm of its gradient
    """

    prefix: str = ""
    optimiser: Callable[..., Optimizer] = ADAM
    rate: float = 1.0
    clip: float = math.inf


class Learner(Protocol):
    """What a family gives the loop.

    module : everything that trains or is kept, named as in the checkpoint
    players : optimisers by name; most families have one, a GAN has two
    examples : arrays in memory or memory-mapped, rows first
    rate, ema, schedule : used where the recipe says nothing
    """

    module: nn.Module
    rate: float

    @property
    def players(self) -> Mapping[str, Player]:
        """See above."""
        ...

    @property
    def examples(self) -> Mapping[str, Any]:
        """See above."""
        ...

    @property
    def ema(self) -> float:
        """See above."""
        ...

    @property
    def schedule(self) -> str:
        """See above."""
        ...

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        ...

    def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Yield (player, loss); the player has stepped on it before the next one is asked for."""
        ...

    def sample(self, device: torch.device) -> Tensor:
        """Showers at the judge's conditions, always from the same noise."""
        ...


def start_weights(
    module: nn.Module, start: Checkpoint, plan: Plan, part_of: Callable[[str], str]
) -> None:
    """Load the parent's weights, except into parts that the recipe starts afresh."""
    if plan.scratch:
        return
    fresh, again = weights_of(module), plan.recipe.reinitialize
    own = {name: value for name, value in fresh.items() if part_of(name).split(".")[0] in again}
    load_weights(module, {**start.weights, **own})


@dataclass(frozen=True)
class Optimised:
    """The parameters of one player that a recipe trains, and their optimiser."""

    player: Player
    parameters: list[nn.Parameter]
    optimiser: Optimizer
    anchors: list[Tensor]  # where they began

    def set_rates(self, factor: float) -> None:
        """Multiply every learning rate by the schedule's factor."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * factor


def choose_trained(learner: Learner, recipe: Recipe) -> tuple[dict[str, Optimised], float]:
    """Freeze what the recipe freezes; per player what trains, and its share of all parameters.

    Raises
    ------
    UsageError
        Nothing would train.
    """
    parameters = dict(learner.module.named_parameters())
    total = sum(parameter.numel() for parameter in parameters.values())
    parts = {name: learner.part_of(name) for name in parameters}
    rates = learning_rates(recipe, parts, learner.rate)
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in rates)
    chosen = [(name, parameters[name], rate) for name, rate in rates.items()]
    if recipe.lora and recipe.strategy == "lora":
        critic = {name for name, part in parts.items() if part.startswith("critic")}
        rate = learner.rate if recipe.backbone_lr is None else recipe.backbone_lr
        added = add_lora(learner.module, recipe.lora, critic | set(rates))
        prefix = next(iter(learner.players.values())).prefix
        chosen += [(prefix, parameter, rate) for parameter in added]
    if not chosen:
        raise UsageError(
            f"recipe {recipe.name!r} trains no parameter of this family",
            "choose another with --recipe: catalog adapt --list-recipes",
        )
    found = {key: _optimised(player, chosen) for key, player in learner.players.items()}
    share = sum(parameter.numel() for _, parameter, _ in chosen) / total
    return {key: value for key, value in found.items() if value.parameters}, share


def _optimised(player: Player, chosen: list[tuple[str, nn.Parameter, float]]) -> Optimised:
    own = [(p, rate) for name, p, rate in chosen if name.startswith(player.prefix)]
    groups: list[dict[str, Any]] = [
        {"params": [p for p, r in own if r == rate], "lr": rate, "base": rate * player.rate}
        for rate in sorted({rate for _, rate in own})
    ]
    parameters = [parameter for parameter, _ in own]
    optimiser = player.optimiser(groups or [{"params": [torch.zeros(1)], "base": 0.0}])
    return Optimised(player, parameters, optimiser, [p.detach().clone() for p in parameters])
