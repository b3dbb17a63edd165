"""cvae: a conditional variational autoencoder whose code is physical.

The encoder is fixed: the code of a shower is its sums (`sample_models.sums`), with a little noise:
q(t|x) is a narrow Gaussian around them. The prior p(t | condition) is a small normalising flow
(affine couplings, arXiv 1605.08803). The decoder p(x | t, condition) is a hurdle model of every
voxel: probability of a hit, mean and spread of its log energy, both relative to what the sums alone
would give it; decoded voxels are then scaled to the sums. Training maximises the evidence lower
bound E_q[log p(x|t) + log p(t)] + H(q); H(q) is constant here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

_SHARP = 2.5  # how sharply log energy bends at the hit threshold
_BLUR = 0.03  # spread of q(t|x), in standard deviations of the code
_FAR = 6.0  # spreads beyond which no code is drawn
_TRUST = 3.0  # showers' worth of belief in the parent when voxel biases are set
_MOST = 4000  # showers per detector from which statistics are taken
_BODY = 99  # the decoder comes after every coupling

# Where neither recipe nor defaults.yaml gives a rate.
RATES = {"full": 1e-3, "scratch": 4e-3}


class Coupling(nn.Module):  # type: ignore[misc]
    """One affine coupling: half of the code is scaled and shifted by the other half."""

    def __init__(self, conditions: int, hidden: int, seed: int) -> None:
        super().__init__()
        order = torch.randperm(SUMS, generator=torch.Generator().manual_seed(seed))
        self.order, self.back = order.tolist(), torch.argsort(order).tolist()
        self.kept = SUMS // 2
        self.net = nn.Sequential(
            nn.Linear(self.kept + conditions, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * (SUMS - self.kept)),
        )
        _start_at_zero(self.net[-1])

    def _affine(self, kept: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.net(torch.cat([kept, c], 1)).chunk(2, 1)
        return 2 * torch.tanh(log_scale / 2), shift

    def to_noise(self, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Code to noise, and the log of the Jacobian."""
        t = t[:, self.order]
        kept, moved = t[:, : self.kept], t[:, self.kept :]
        log_scale, shift = self._affine(kept, c)
        return torch.cat([kept, (moved - shift) * torch.exp(-log_scale)], 1), -log_scale.sum(1)

    def to_code(self, noise: Tensor, c: Tensor) -> Tensor:
        """The inverse."""
        kept, moved = noise[:, : self.kept], noise[:, self.kept :]
        log_scale, shift = self._affine(kept, c)
        return torch.cat([kept, moved * torch.exp(log_scale) + shift], 1)[:, self.back]


class Cvae(nn.Module):  # type: ignore[misc]
    """Prior and decoder. `own`: lines and spreads of the code in the detector it generates for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = config
        n, h = len(config["conditions"]), config["hidden"]
        self.fraction = config["sampling_fraction"]
        self.base = nn.Sequential(nn.Linear(n, 32), nn.SiLU(), nn.Linear(32, 2 * SUMS))
        _start_at_zero(self.base[-1])
        self.flow = nn.ModuleList(
            Coupling(n, config["flow"], seed) for seed in range(config["couplings"])
        )
        layers = [nn.Linear(2 * SUMS + n, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.voxel = nn.Linear(h, 3 * VOXELS)
        self.gain = nn.Parameter(torch.full((2, VOXELS), 0.5))  # of what the sums alone would give
        with torch.no_grad():
            self.voxel.weight.mul_(0.3)
        self.register_buffer("own", torch.stack([torch.zeros(SUMS), *torch.zeros(2, SUMS)]))
        self.own[2] = 1
        self.register_buffer("middle", torch.zeros(SUMS))  # of the code, over all detectors
        self.register_buffer("reach", torch.ones(SUMS))

    def prior_log_density(self, u: Tensor, c: Tensor) -> Tensor:
        """ln p(u | condition) of standardised codes, up to a constant."""
        shift, log_scale = self.base(c).chunk(2, 1)
        x, total = (u - shift) * torch.exp(-log_scale), -log_scale.sum(1)
        for coupling in self.flow:
            x, jacobian = coupling.to_noise(x, c)
            total = total + jacobian
        return total - 0.5 * (x**2).sum(1)

    def draw_code(self, noise: Tensor, c: Tensor) -> Tensor:
        """Standardised codes from normal noise, (N, SUMS)."""
        for coupling in reversed(self.flow):
            noise = coupling.to_code(noise, c)
        shift, log_scale = self.base(c).chunk(2, 1)
        return (noise * torch.exp(log_scale) + shift).clamp(-_FAR, _FAR)

    def decode(self, t: Tensor, u: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logit of a hit, mean and log spread of the (bent) log energy, each (N, VOXELS)."""
        known = torch.cat([(t - self.middle) / self.reach, u, c], 1)
        hit, mean, spread = self.voxel(self.body(known)).chunk(3, 1)
        over = log_expected(t) - LOG_HIT
        return (
            hit + self.gain[0] * over,
            mean + self.gain[1] * over,
            -3 + 5 * torch.sigmoid(spread),
        )

    def log_bound(self, shares: Tensor, c: Tensor, own: Tensor, noise: Tensor | float) -> Tensor:
        """Evidence lower bound per shower, up to a constant. own : (N or 1, 3, SUMS)."""
        ln_e = c[:, 0]
        u = standardise(log_sums(shares), ln_e, own) + _BLUR * noise
        t = restore(u, ln_e, own)
        hit, bent = _bend(shares.flatten(1))
        logit, mean, log_spread = self.decode(t, u, c)
        pull = (bent - mean) * torch.exp(-log_spread)
        voxels = F.softplus(logit) - hit * logit + hit * (0.5 * pull**2 + log_spread)
        return self.prior_log_density(u, c) - voxels.sum(1)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Showers in GeV visible, (N, LAYERS, SECTORS, RINGS)."""
        c, own = all_conditions(condition, self.config), self.own[None]
        code_noise, hit_noise, energy_noise = noise.split([SUMS, VOXELS, VOXELS], 1)
        u = self.draw_code(code_noise, c)
        t = restore(u, c[:, 0], own)
        logit, mean, log_spread = self.decode(t, u, c)
        chance = 0.5 * (1 + torch.erf(hit_noise * 0.5**0.5))
        lit = (chance < torch.sigmoid(logit)).to(noise.dtype)
        bent = mean + torch.exp(log_spread) * energy_noise
        voxels = lit * HIT * torch.exp(F.softplus(_SHARP * bent) / _SHARP)
        shares = fit_sums(voxels.view(-1, LAYERS, SECTORS, RINGS), t)
        return shares * (condition[:, :1] * self.fraction)[:, :, None, None]


class Likelihood(nn.Module):  # type: ignore[misc]
    """The bound as a scorer: showers in GeV visible and their conditions -> (N,)."""

    def __init__(self, model: Cvae) -> None:
        super().__init__()
        self.model = model

    def forward(self, showers: Tensor, condition: Tensor) -> Tensor:
        """Higher means more like the showers it was trained on."""
        visible = (condition[:, :1] * self.model.fraction)[:, :, None, None]
        c = all_conditions(condition, self.model.config)
        return self.model.log_bound(showers / visible, c, self.model.own[None], 0.0)


def _start_at_zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def _bend(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Hit or not, and the log energy over threshold mapped from (0, inf) to the real line."""
    log = torch.log((shares / HIT).clamp_min(1.0))
    return (shares > HIT).float(), torch.log(torch.exp(_SHARP * log.clamp_min(1e-3)) - 1) / _SHARP


def part_of(parameter: str) -> str:
    """`base` takes the conditions; couplings and decoder are blocks; voxels are the head."""
    where = parameter.split(".")
    if where[0] == "flow":
        return f"backbone.{where[1]}"
    return {"base": "embedder", "body": f"backbone.{_BODY}"}.get(where[0], "head")


class CvaeFamily:
    """The family as the catalog sees it."""

    name = "cvae"
    scorer = "likelihood.onnx"

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """25 layers of 1 X0, 8 sectors, rings of R_M / 2."""
        return PHYSICS_SHAPE

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        return part_of(parameter)

    def fresh(self, sets: Sequence[ShowerSet]) -> dict[str, Any]:
        """Configuration of an untrained model; the mesh is always the same."""
        names = condition_names(sets)
        size = {"hidden": 64, "flow": 48, "couplings": 6}
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
            learner = CvaeLearner(config, sets, start, plan)
            return fit(learner, config, self.name, plan, judge, running)

    def export(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write prior and decoder as ONNX: noise and condition -> showers."""
        size, names = SUMS + 2 * VOXELS, asked_names(checkpoint.config)
        export_onnx(_load(checkpoint), example_inputs(size, names), path)
        return tensor_specs(size, f"{SUMS} for the code, then 2 per voxel", names)

    def export_scorer(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write the evidence lower bound as ONNX: showers and condition -> score."""
        return export_scorer(Likelihood(_load(checkpoint)), asked_names(checkpoint.config), path)


def _load(checkpoint: Checkpoint) -> Cvae:
    model = Cvae(checkpoint.config)
    load_weights(model, checkpoint.weights)
    return model


class CvaeLearner:
    """The model, what it learns from, and its loss, for the training loop."""

    players: ClassVar = {"": Player(clip=100.0)}
    ema: ClassVar = 0.995
    schedule: ClassVar = "cosine"

    def __init__(
        self, config: Mapping[str, Any], sets: Sequence[TrainingData], start: Checkpoint, plan: Plan
    ) -> None:
        self.module = Cvae(config)
        self.rate = RATES.get(plan.recipe.strategy, RATES["full"])
        self.augment = 1.0 if plan.recipe.augment is None else plan.recipe.augment
        start_weights(self.module, start, plan, part_of)
        shares, given = learned_from(sets, config["conditions"])
        self.own = self.module.own[None].expand(len(sets), -1, -1).clone()
        if plan.recipe.calibrate or plan.scratch:
            pairs = zip(shares, given, strict=True)
            self.own = torch.stack([lines(log_sums(x[:_MOST]), c[:_MOST, 0]) for x, c in pairs])
            if plan.scratch:
                _centre(self.module, shares)
            _calibrate(self.module, shares[0][:_MOST], given[0][:_MOST], self.own[0])
        self.examples = examples_of(shares, given)
        self.asked = torch.tensor(sets[0].judge_conditions(asked_names(config)))

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        return part_of(parameter)

    def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """The negative evidence lower bound."""
        rows, draw = batch.rows, batch.draw
        self.own = self.own.to(draw.device)
        shares, own = turned(rows["shares"].float(), draw, self.augment), self.own[rows["which"]]
        bound = self.module.log_bound(shares, rows["given"], own, draw.normal(SUMS))
        yield "", -bound.mean()

    def sample(self, device: torch.device) -> Tensor:
        """Showers at the conditions the judge asked for, always from the same noise."""
        noise = lone_draw(1, len(self.asked), device).normal(SUMS + 2 * VOXELS)
        showers: Tensor = self.module(noise, self.asked.to(device))
        return showers


@torch.no_grad()  # type: ignore[untyped-decorator]
def _centre(model: Cvae, shares: Sequence[Tensor]) -> None:
    """Scale the decoder's input by the codes of all detectors."""
    codes = log_sums(torch.cat([x[:200] for x in shares]))
    model.middle.copy_(codes.mean(0))
    model.reach.copy_(codes.std(0) + 1e-2)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _calibrate(model: Cvae, shares: Tensor, c: Tensor, own: Tensor) -> None:
    """Start where simple statistics of the showers are right already, before any gradient.

    The code is standardised by the new detector's own lines and spreads. Then the decoder's biases
    move until every voxel's share of hits and its mean log energy are those of the showers, held
    back by `_TRUST` showers' worth of belief in the parent.
    """
    model.own.copy_(own)
    t = log_sums(shares)
    hit, bent = _bend(shares.flatten(1))
    logit, guess, _ = model.decode(t, standardise(t, c[:, 0], own[None]), c)
    bias = torch.zeros(VOXELS)
    for _ in range(8):  # Newton's steps on a concave likelihood
        chance = torch.sigmoid(logit + bias)
        slope = (chance - hit).sum(0) + _TRUST * bias
        bias -= (slope / ((chance * (1 - chance)).sum(0) + _TRUST)).clamp(-1, 1)
    shift = ((bent - guess) * hit).sum(0) / (hit.sum(0) + _TRUST)
    model.voxel.bias.add_(torch.cat([bias, shift, torch.zeros(VOXELS)]))


FAMILY = CvaeFamily()
