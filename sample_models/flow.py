"""flow: a flow-matching transformer over the layers of a shower.

A shower is 26 tokens: one per layer of 1 X0 (its sum and its 40 voxels), one for the whole shower
(its total, rings and sectors). All are standardised (`sample_models.sums`), so the transformer
learns shapes and correlations, and a new detector's statistics are set from its first showers. It
is trained by conditional flow matching on straight paths (Lipman et al., 2210.02747): the network
v(x_t, t, condition) learns the velocity x - noise of x_t = (1 - t) noise + t x. Blocks are those of
a diffusion transformer (DiT, 2212.09748). Sampling integrates v from noise with the midpoint rule;
voxels under the hit threshold become 0 and the others are scaled to the sums.

The configuration sets the size: `width`, `depth`, `heads`, and `steps` of the integration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn

from catalog.adapt.family import Checkpoint, Judge, Plan, Running, Trained, TrainingData
from catalog.domain import TensorSpec
from catalog.showers import PHYSICS_SHAPE, Shape, ShowerSet
from sample_models.batches import Batch, lone_draw
from sample_models.learner import Player, start_weights
from sample_models.sums import (
    HIT,
    LAYERS,
    LOG_HIT,
    RINGS,
    SECTORS,
    SUMS,
    VOXELS,
    all_conditions,
    asked_names,
    condition_names,
    example_inputs,
    examples_of,
    export_scorer,
    fit_sums,
    for_detectors,
    learned_from,
    lines,
    log_expected,
    log_sums,
    restore,
    standardise,
    tensor_specs,
    turned,
)
from sample_models.tools import export_onnx, load_weights, repeatable
from sample_models.trainer import fit

CELLS = SECTORS * RINGS
TOKENS, FEATURES = LAYERS + 1, 1 + CELLS
COLUMNS = SUMS + VOXELS
_BLUR = 0.03  # noise on the sums, in their spreads: they are correlated to the last digit
_BELOW = 1.5  # voxels that are not hit lie up to this far below the threshold, in ln E
_FAR = 6.0  # spreads beyond which nothing is drawn
_WAVES = 8  # frequencies in which the network sees the time
_MOST = 3000  # showers per detector from which statistics are taken
_BELIEF = 12.0  # showers' worth of belief that a voxel's log energy spreads by 1
_SCORED = 8  # times at which the scorer asks the network

# Where neither recipe nor defaults.yaml gives a rate.
RATES = {"full": 5e-4, "scratch": 2e-3}
ADAMW = partial(torch.optim.AdamW, betas=(0.9, 0.98))


class Block(nn.Module):  # type: ignore[misc]
    """Attention over tokens and an MLP, both modulated by time and condition (adaLN)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width, elementwise_affine=False)
        self.between = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 3 * width), nn.SiLU(), nn.Linear(3 * width, width)
        )
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """x (N, TOKENS, width), told (N, width)."""
        gain1, shift1, gate1, gain2, shift2, gate2 = self.modulate(told)[:, None].chunk(6, 2)
        h = self.before(x) * (1 + gain1) + shift1
        x = x + (0.5 + gate1) * self.join(self._attend(h))
        h = self.between(x) * (1 + gain2) + shift2
        return x + (0.5 + gate2) * self.mlp(h)

    def _attend(self, h: Tensor) -> Tensor:
        n, tokens, width = h.shape
        split = self.qkv(h).view(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(width // self.heads), 3) @ v
        return mixed.transpose(1, 2).reshape(n, tokens, width)


class Velocity(nn.Module):  # type: ignore[misc]
    """v(x_t, t, condition), and the statistics of the detector that it generates for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.fraction, self.steps = config["sampling_fraction"], config["steps"]
        width = config["width"]
        self.embed = nn.Linear(FEATURES, width)
        self.place = nn.Parameter(0.3 * torch.randn(TOKENS, width))
        self.tell = nn.Sequential(
            nn.Linear(len(config["conditions"]) + 1 + 2 * _WAVES, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
        )
        self.blocks = nn.ModuleList(Block(width, config["heads"]) for _ in range(config["depth"]))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, FEATURES)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.straight = nn.Parameter(torch.zeros(2, TOKENS, FEATURES))
        self.register_buffer("waves", 2.0 ** torch.arange(_WAVES) * math.pi / 2, persistent=False)
        own = torch.zeros(3, COLUMNS)
        own[2] = 1
        self.register_buffer("own", own)

    def velocity(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        """x (N, TOKENS, FEATURES), t (N, 1), c scaled conditions."""
        seen = [c, t, torch.sin(t * self.waves), torch.cos(t * self.waves)]
        told = self.tell(torch.cat(seen, 1))
        h = self.embed(x) + self.place
        for block in self.blocks:
            h = block(h, told)
        bias, slope = self.straight
        return self.out(self.norm(h)) + bias + slope * x * (1 - t[:, :, None])

    def mismatch(self, x: Tensor, noise: Tensor, t: Tensor, c: Tensor) -> Tensor:
        """Squared error of the velocity per shower: the loss of flow matching, (N,)."""
        mixed = (1 - t[:, :, None]) * noise + t[:, :, None] * x
        return (self.velocity(mixed, t, c).float() - (x - noise)).square().mean((1, 2))

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Showers in GeV visible, (N, LAYERS, SECTORS, RINGS)."""
        c = all_conditions(condition, self.config)
        x, step = noise.view(-1, TOKENS, FEATURES), 1 / self.steps
        one = torch.ones_like(c[:, :1])
        for i in range(self.steps):
            half = x + 0.5 * step * self.velocity(x, one * (i * step), c)
            x = x + step * self.velocity(half, one * ((i + 0.5) * step), c)
        shares = from_tokens(x.clamp(-_FAR, _FAR), c[:, 0], self.own[None])
        return shares * (condition[:, :1] * self.fraction)[:, :, None, None]


class Likelihood(nn.Module):  # type: ignore[misc]
    """A bound of the likelihood as a scorer: the flow-matching loss at fixed times and noise.

    Showers in GeV visible and their conditions -> minus the mean squared error, (N,). Unlit voxels
    are put at the middle of their place below the threshold.
    """

    def __init__(self, model: Velocity) -> None:
        super().__init__()
        self.model = model
        rng = torch.Generator().manual_seed(0)
        self.register_buffer("noise", torch.randn(_SCORED, TOKENS, FEATURES, generator=rng))

    def forward(self, showers: Tensor, condition: Tensor) -> Tensor:
        """Higher means more like the showers it was trained on."""
        visible = (condition[:, :1] * self.model.fraction)[:, :, None, None]
        c = all_conditions(condition, self.model.config)
        shares = showers / visible
        below = torch.full_like(shares.flatten(1), 0.5)
        x = to_tokens(shares, c[:, 0], self.model.own[None], below, 0.0)
        one, total = torch.ones_like(c[:, :1]), torch.zeros_like(c[:, 0])
        for i in range(_SCORED):
            t = one * ((i + 0.5) / _SCORED)
            total = total - self.model.mismatch(x, self.noise[i : i + 1], t, c)
        return total / _SCORED


def log_voxels(shares: Tensor, t: Tensor, below: Tensor) -> Tensor:
    """Log voxels over what the sums alone would give; unlit ones lie below the threshold.

    below : (N, VOXELS), where between 0 (at the threshold) and 1: uniform noise in training
    """
    flat = shares.flatten(1)
    hidden = HIT * torch.exp(-_BELOW * below)
    return torch.log(torch.where(flat > HIT, flat, hidden)) - _expected(t)


def _expected(t: Tensor) -> Tensor:
    return log_expected(t).clamp_min(LOG_HIT - 3)


def to_tokens(
    shares: Tensor, ln_e: Tensor, own: Tensor, below: Tensor, blur: Tensor | float
) -> Tensor:
    """Standardised tokens (N, TOKENS, FEATURES) of showers; own (N or 1, 3, COLUMNS)."""
    t = log_sums(shares)
    z = standardise(torch.cat([t, log_voxels(shares, t, below)], 1), ln_e, own)
    sums, voxels = z[:, :SUMS] + _BLUR * blur, z[:, SUMS:].view(-1, LAYERS, CELLS)
    layers = torch.cat([sums[:, 1 : 1 + LAYERS, None], voxels], 2)
    rest = torch.cat([sums[:, :1], sums[:, 1 + LAYERS :]], 1)
    return torch.cat([layers, F.pad(rest, (0, FEATURES - rest.shape[1]))[:, None]], 1)


def from_tokens(x: Tensor, ln_e: Tensor, own: Tensor) -> Tensor:
    """Showers, as shares, of tokens."""
    layers, rest = x[:, :LAYERS], x[:, LAYERS]
    z = [rest[:, :1], layers[:, :, 0], rest[:, 1 : SUMS - LAYERS], layers[:, :, 1:].flatten(1)]
    y = restore(torch.cat(z, 1), ln_e, own)
    t, logs = y[:, :SUMS], y[:, SUMS:]
    voxels = torch.exp((logs + _expected(t)).clamp_max(1.0))
    voxels = voxels * (voxels > HIT).to(voxels.dtype)
    return fit_sums(voxels.view(-1, LAYERS, SECTORS, RINGS), t)


def statistics(shares: Tensor, ln_e: Tensor) -> Tensor:
    """Lines and spreads of sums and voxels of one detector, (3, COLUMNS)."""
    t = log_sums(shares)
    rng = torch.Generator().manual_seed(0)
    below = torch.rand(len(shares), VOXELS, generator=rng)
    voxels, n = lines(log_voxels(shares, t, below), ln_e), len(shares)
    voxels[2] = torch.sqrt((voxels[2] ** 2 * n + _BELIEF) / (n + _BELIEF))
    return torch.cat([lines(t, ln_e), voxels], 1)


def part_of(parameter: str) -> str:
    """Conditions and tokens are embedded; blocks are the backbone."""
    where = parameter.split(".")
    if where[0] == "blocks":
        return f"backbone.{where[1]}"
    return "embedder" if where[0] in ("embed", "place", "tell") else "head"


class FlowFamily:
    """The family as the catalog sees it."""

    name = "flow"
    scorer = "likelihood.onnx"

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """25 layers of 1 X0, 8 sectors, rings of R_M / 2."""
        return PHYSICS_SHAPE

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        return part_of(parameter)

    def fresh(self, sets: Sequence[ShowerSet]) -> dict[str, Any]:
        """Configuration of an untrained model that two CPU cores can train."""
        names = condition_names(sets)
        size = {"width": 64, "depth": 3, "heads": 4, "steps": 8}
        return {"conditions": names, **size, "sampling_fraction": 1.0}

    def train(
        self,
        sets: Sequence[TrainingData],
        start: Checkpoint,
        plan: Plan,
        judge: Judge,
        running: Running,
    ) -> Trained:
        """Train on one or several detectors; return the judged best of the averaged weights."""
        config = for_detectors(start.config, sets)
        with repeatable(plan.seed):
            learner = FlowLearner(config, sets, start, plan)
            return fit(learner, config, self.name, plan, judge, running)

    def export(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write the integrated flow as ONNX: noise and condition -> showers."""
        size, names = TOKENS * FEATURES, asked_names(checkpoint.config)
        export_onnx(_load(checkpoint), example_inputs(size, names), path)
        return tensor_specs(size, "the flow's starting point, token by token", names)

    def export_scorer(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write the bound of the likelihood as ONNX: showers and condition -> score."""
        return export_scorer(Likelihood(_load(checkpoint)), asked_names(checkpoint.config), path)


def _load(checkpoint: Checkpoint) -> Velocity:
    model = Velocity(checkpoint.config)
    load_weights(model, checkpoint.weights)
    return model


class FlowLearner:
    """The model, what it learns from, and its loss, for the training loop."""

    players: ClassVar = {
        "": Player(optimiser=partial(torch.optim.AdamW, betas=(0.9, 0.98)), clip=2.0)
    }
    ema: ClassVar = 0.995
    schedule: ClassVar = "cosine"

    def __init__(
        self, config: Mapping[str, Any], sets: Sequence[TrainingData], start: Checkpoint, plan: Plan
    ) -> None:
        self.module = Velocity(config)
        self.rate = RATES.get(plan.recipe.strategy, RATES["full"])
        self.augment = 1.0 if plan.recipe.augment is None else plan.recipe.augment
        start_weights(self.module, start, plan, part_of)
        shares, given = learned_from(sets, config["conditions"])
        self.own = self.module.own[None].expand(len(sets), -1, -1).clone()
        if plan.recipe.calibrate or plan.scratch:
            pairs = zip(shares, given, strict=True)
            self.own = torch.stack([statistics(x[:_MOST], c[:_MOST, 0]) for x, c in pairs])
            self.module.own.copy_(self.own[0])
        self.examples = examples_of(shares, given)
        self.asked = torch.tensor(sets[0].judge_conditions(asked_names(config)))

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        return part_of(parameter)

    def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """The loss of flow matching, with times most often in the middle (2403.03206)."""
        rows, draw = batch.rows, batch.draw
        self.own = self.own.to(draw.device)
        shares, c = turned(rows["shares"].float(), draw, self.augment), rows["given"]
        x = to_tokens(
            shares, c[:, 0], self.own[rows["which"]], draw.uniform(VOXELS), draw.normal(SUMS)
        )
        t, noise = torch.sigmoid(draw.normal(1)), draw.normal(TOKENS, FEATURES)
        yield "", self.module.mismatch(x, noise, t, c).mean()

    def sample(self, device: torch.device) -> Tensor:
        """Showers at the conditions the judge asked for, always from the same noise."""
        noise = lone_draw(1, len(self.asked), device).normal(TOKENS * FEATURES)
        pieces = zip(noise.split(256), self.asked.to(device).split(256), strict=True)
        return torch.cat([self.module(part, asked) for part, asked in pieces])


FAMILY = FlowFamily()
