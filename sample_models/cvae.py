"""cvae: a conditional variational autoencoder whose code is physical.

The encoder is fixed: the code t of a shower is its total energy, its energy per layer, per ring
and per sector (with a little noise: q(t|x) is a narrow Gaussian around these sums). The prior
p(t | E) is a small normalising flow (affine couplings, arXiv 1605.08803). The decoder p(x | t, E)
is a hurdle model of every voxel: probability of a hit, mean and spread of its log energy; decoded
voxels are then scaled to the sums in the code (iterative proportional fitting). Training maximises
the evidence lower bound E_q[log p(x|t,E) + log p(t|E)] + H(q); H(q) is constant here.

Voxels are shares of the visible energy that the beam should give (E x sampling fraction), on a mesh
in X0 and R_M, so that one set of weights means the same in every electromagnetic calorimeter.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn

from catalog.adapt.family import Checkpoint, Judge, Plan, Progress, TrainingData
from catalog.domain import TensorSpec
from catalog.showers import PHYSICS_SHAPE, Shape
from sample_models.tools import cosine, export_onnx, follow, load_weights, repeatable, weights_of

LAYERS, SECTORS, RINGS = PHYSICS_SHAPE.size
VOXELS = LAYERS * SECTORS * RINGS
ZONES = ((0, 5), (5, 10), (10, LAYERS))  # rings are summed in these layers (X0)
BELTS = ((0, 1), (1, 2), (2, RINGS))  # sectors are summed in these rings
CODE = 1 + LAYERS + len(ZONES) * RINGS + len(BELTS) * SECTORS
HIT = 2e-5  # a voxel is hit above this share, as in catalog.physics.observables
_FLOOR = (3e-4, 2e-3, 5e-3)  # added to layer, ring and sector fractions before the logarithm
_SHARP = 2.5  # how sharply log energy bends at the hit threshold
_BLUR = 0.03  # spread of q(t|x), in standard deviations of the code
_EMA = 0.995
_JUDGEMENTS = 20

# Found by `python -m sample_models.measure` on Par04 showers, each strategy for itself. One rate
# for all parts did as well as faster biases and a slower body. Scratch gains nothing above 8e-3 at
# 300 showers.
_RATES = {"full": 1e-3, "scratch": 1.6e-2}


def fresh_config(particles: tuple[int, ...]) -> dict[str, Any]:
    """Configuration of an untrained model; of several particles it is told which one."""
    names = ["energy_gev"] if len(particles) == 1 else ["energy_gev", "is_photon"]
    return {
        "conditions": names,
        "hidden": 96,
        "flow": 64,
        "couplings": 6,
        "sampling_fraction": 1.0,
    }


class Coupling(nn.Module):  # type: ignore[misc]
    """One affine coupling: half of the code is scaled and shifted by the other half."""

    def __init__(self, conditions: int, hidden: int, seed: int) -> None:
        super().__init__()
        order = torch.randperm(CODE, generator=torch.Generator().manual_seed(seed))
        self.order, self.back = order.tolist(), torch.argsort(order).tolist()
        self.kept = CODE // 2
        self.net = nn.Sequential(
            nn.Linear(self.kept + conditions, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * (CODE - self.kept)),
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

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
    """Prior and decoder."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        n, h = len(config["conditions"]), config["hidden"]
        self.fraction = config["sampling_fraction"]
        self.base = nn.Sequential(nn.Linear(n, 32), nn.SiLU(), nn.Linear(32, 2 * CODE))
        self.flow = nn.ModuleList(
            Coupling(n, config["flow"], seed) for seed in range(config["couplings"])
        )
        self.body = nn.Sequential(nn.Linear(CODE + n, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU())
        self.voxel = nn.Linear(h, 3 * VOXELS)
        self.register_buffer("mean", torch.zeros(CODE))
        self.register_buffer("std", torch.ones(CODE))

    def prior_log_density(self, t: Tensor, c: Tensor) -> Tensor:
        """ln p(t | E) up to a constant; t standardised."""
        shift, log_scale = self.base(c).chunk(2, 1)
        x, total = (t - shift) * torch.exp(-log_scale), -log_scale.sum(1)
        for coupling in self.flow:
            x, jacobian = coupling.to_noise(x, c)
            total = total + jacobian
        return total - 0.5 * (x**2).sum(1)

    def draw_code(self, noise: Tensor, c: Tensor) -> Tensor:
        """Standardised codes from normal noise, (N, CODE)."""
        for coupling in reversed(self.flow):
            noise = coupling.to_code(noise, c)
        shift, log_scale = self.base(c).chunk(2, 1)
        return (noise * torch.exp(log_scale) + shift).clamp(-8, 8)

    def decode(self, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logit of a hit, mean and log spread of the (bent) log energy, each (N, VOXELS)."""
        hit, mean, spread = self.voxel(self.body(torch.cat([t, c], 1))).chunk(3, 1)
        return hit, mean, -3 + 5 * torch.sigmoid(spread)

    def loss(self, shares: Tensor, c: Tensor, scale: Tensor, rng: torch.Generator) -> Tensor:
        """Negative evidence lower bound per shower; scale: own mean and spread (N, 2, CODE)."""
        t = (code(shares) - scale[:, 0]) / scale[:, 1]
        t = t + _BLUR * torch.randn(t.shape, generator=rng)
        hit, bent = _bend(shares.flatten(1))
        logit, mean, log_spread = self.decode(t, c)
        pull = (bent - mean) * torch.exp(-log_spread)
        voxels = F.binary_cross_entropy_with_logits(logit, hit, reduction="none")
        voxels = voxels + hit * (0.5 * pull**2 + log_spread)
        return (voxels.sum(1) - self.prior_log_density(t, c)).mean()

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Showers in GeV visible, (N, LAYERS, SECTORS, RINGS)."""
        c = scaled(condition)
        code_noise, hit_noise, energy_noise = noise.split([CODE, VOXELS, VOXELS], 1)
        t = self.draw_code(code_noise, c)
        logit, mean, log_spread = self.decode(t, c)
        chance = 0.5 * (1 + torch.erf(hit_noise * 0.5**0.5))
        lit = (chance < torch.sigmoid(logit)).to(noise.dtype)
        bent = mean + torch.exp(log_spread) * energy_noise
        voxels = lit * HIT * torch.exp(F.softplus(_SHARP * bent) / _SHARP)
        shares = _fit(voxels.view(-1, LAYERS, SECTORS, RINGS), t * self.std + self.mean)
        return shares * (condition[:, :1] * self.fraction)[:, :, None, None]


def scaled(condition: Tensor) -> Tensor:
    """ln E of order one between 1 and 100 GeV; other conditions as they are."""
    return torch.cat([(torch.log(condition[:, :1]) - 2.3) / 1.3, condition[:, 1:]], 1)


def code(shares: Tensor) -> Tensor:
    """The code of showers (N, LAYERS, SECTORS, RINGS): logs of their sums, (N, CODE)."""
    layer = shares.sum((2, 3))
    total = layer.sum(1, keepdim=True).clamp_min(1e-6)
    rings = torch.stack([shares[:, a:b].sum((1, 2)) for a, b in ZONES], 1)
    sectors = torch.stack([shares[..., a:b].sum((1, 3)) for a, b in BELTS], 1)
    parts = [layer / total] + [x / x.sum(2, keepdim=True).clamp_min(1e-6) for x in (rings, sectors)]
    logs = [torch.log(part + floor).flatten(1) for part, floor in zip(parts, _FLOOR, strict=True)]
    return torch.cat([10 * torch.log(total), *logs], 1)


def _bend(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Hit or not, and the log energy over threshold mapped from (0, inf) to the real line."""
    log = torch.log((shares / HIT).clamp_min(1.0))
    return (shares > HIT).float(), torch.log(torch.expm1(_SHARP * log.clamp_min(1e-3))) / _SHARP


def _fit(x: Tensor, t: Tensor, rounds: int = 4) -> Tensor:
    """Scale voxels until their layer, ring and sector sums are those of the code."""
    total, *logs = t.split([1, LAYERS, len(ZONES) * RINGS, len(BELTS) * SECTORS], 1)
    parts = [(torch.exp(log) - floor).clamp_min(0) for log, floor in zip(logs, _FLOOR, strict=True)]
    layer = parts[0] / parts[0].sum(1, keepdim=True) * torch.exp(total / 10)
    rings = parts[1].view(-1, len(ZONES), RINGS)
    sectors = parts[2].view(-1, len(BELTS), SECTORS)
    rings, sectors = (y / y.sum(2, keepdim=True) for y in (rings, sectors))
    for _ in range(rounds):
        x = torch.cat(
            [_scale_sectors(x[..., a:b], sectors[:, i]) for i, (a, b) in enumerate(BELTS)], 3
        )
        x = torch.cat(
            [
                _scale_rings(x[:, a:b], rings[:, i] * layer[:, a:b].sum(1, keepdim=True))
                for i, (a, b) in enumerate(ZONES)
            ],
            1,
        )
        x = x * (layer / x.sum((2, 3)).clamp_min(1e-9))[:, :, None, None]
    return x


def _scale_sectors(belt: Tensor, fractions: Tensor) -> Tensor:
    found = belt.sum((1, 3))
    wanted = fractions * found.sum(1, keepdim=True)
    return belt * (wanted / found.clamp_min(1e-9))[:, None, :, None]


def _scale_rings(zone: Tensor, wanted: Tensor) -> Tensor:
    return zone * (wanted / zone.sum((1, 2)).clamp_min(1e-9))[:, None, None, :]


class CvaeFamily:
    """The family as the catalog sees it."""

    name = "cvae"

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """25 layers of 1 X0, 8 sectors, rings of R_M / 2."""
        return PHYSICS_SHAPE

    def train(
        self,
        sets: Sequence[TrainingData],
        start: Checkpoint,
        plan: Plan,
        judge: Judge,
        progress: Progress,
    ) -> Checkpoint:
        """Train on one or several detectors; return the judged best of the averaged weights."""
        return train_on(sets, start, plan, judge, progress)

    def export(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write prior and decoder as ONNX: noise and condition -> showers."""
        model, names = Cvae(checkpoint.config), tuple(checkpoint.config["conditions"])
        load_weights(model, checkpoint.weights)
        size, given = CODE + 2 * VOXELS, "energy_gev" if len(names) == 1 else "condition"
        example = {"noise": torch.zeros(2, size), given: torch.full((2, len(names)), 10.0)}
        export_onnx(model, example, path)
        inputs = [
            TensorSpec(
                name="noise",
                dtype="float32",
                shape=(-1, size),
                role="noise",
                distribution="normal",
                meaning=f"{CODE} for the code, then 2 per voxel",
            ),
            TensorSpec(
                name=given,
                dtype="float32",
                shape=(-1, len(names)),
                role="condition",
                unit="GeV" if len(names) == 1 else "1",
                components=names,
            ),
        ]
        output = TensorSpec(
            name="showers",
            dtype="float32",
            shape=(-1, *PHYSICS_SHAPE.size),
            role="showers",
            unit="GeV",
            meaning="visible energy (layer of 1 X0, sector, ring of R_M / 2)",
        )
        return inputs, [output]


def train_on(
    sets: Sequence[TrainingData], start: Checkpoint, plan: Plan, judge: Judge, progress: Progress
) -> Checkpoint:
    """Train on one or several detectors; judged (and exported) as the first of them."""
    config = {**start.config, "sampling_fraction": sets[0].sampling_fraction}
    with repeatable(plan.seed) as rng:
        model = Cvae(config)
        shares = torch.cat([_shares(data) for data in sets])
        names = config["conditions"]
        given = torch.cat([torch.tensor(data.conditions(names)) for data in sets])
        if plan.strategy != "scratch":
            load_weights(model, start.weights)
        scale = _own_scale(sets)
        _start_from_statistics(model, shares, scaled(given), scale, plan.strategy == "scratch")
        examples = (shares, scaled(given), scale)
        asked = torch.tensor(sets[0].judge_conditions(names))
        best = _fit_weights(model, examples, asked, plan, rng, judge, progress)
        return Checkpoint("cvae", config, weights_of(best))


def _fit_weights(
    model: Cvae,
    examples: tuple[Tensor, Tensor, Tensor],
    asked: Tensor,
    plan: Plan,
    rng: torch.Generator,
    judge: Judge,
    progress: Progress,
) -> Cvae:
    rate = plan.lr or _RATES[plan.strategy]
    optimiser = torch.optim.Adam(model.parameters(), rate, betas=(0.9, 0.98))
    shares, c, scale = examples
    average = copy.deepcopy(model)
    best, best_score = copy.deepcopy(average), judge(_sample(average, asked))
    every = max(1, plan.steps // _JUDGEMENTS)
    for step in range(plan.steps):
        optimiser.param_groups[0]["lr"] = rate * cosine(step, plan.steps)
        pick = torch.randint(0, len(shares), (plan.batch,), generator=rng)
        loss = model.loss(_turn(shares[pick], rng), c[pick], scale[pick], rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 100.0)
        optimiser.step()
        follow(average, model, step, _EMA)
        if (step + 1) % every == 0 or step + 1 == plan.steps:
            score = judge(_sample(average, asked))
            if score < best_score:
                best, best_score = copy.deepcopy(average), score
            progress(step + 1, plan.steps)
    return best


@torch.no_grad()  # type: ignore[untyped-decorator]
def _start_from_statistics(
    model: Cvae, shares: Tensor, c: Tensor, scale: Tensor, fresh: bool
) -> None:
    """Start where simple statistics of the showers are right already, before any gradient.

    The code is standardised by the new showers, so that the weights keep their meaning ("one
    spread deeper than the mean") in another detector; the decoder's biases are shifted until each
    voxel's mean hit probability and log energy are those of the showers.
    """
    model.mean.copy_(scale[0, 0])
    model.std.copy_(scale[0, 1])
    hit, bent = _bend(shares.flatten(1))
    n = hit.sum(0)
    mean = (bent * hit).sum(0) / (n + 1)
    chance = (n + 0.5) / (len(shares) + 1)
    logit, guess, _ = model.decode((code(shares) - scale[:, 0]) / scale[:, 1], c)
    guessed = torch.sigmoid(logit).mean(0).clamp(1e-3, 1 - 1e-3)
    shifts = [torch.logit(chance) - torch.logit(guessed), mean - (guess * hit).sum(0) / (n + 1)]
    shifts[1] = shifts[1] * (n > 0)
    if fresh:
        model.voxel.weight.mul_(0.3)
        spread = ((((bent - mean) * hit) ** 2).sum(0) / (n + 1)).sqrt().clamp(0.2, 3.0)
        where = ((spread.log() + 3) / 5).clamp(0.02, 0.98)
        model.voxel.bias.copy_(torch.cat([torch.logit(chance), mean, torch.logit(where)]))
    else:
        model.voxel.bias.add_(torch.cat([*shifts, torch.zeros(VOXELS)]))


def _own_scale(sets: Sequence[TrainingData]) -> Tensor:
    """Mean and spread of the code in each shower's own detector, (N, 2, CODE)."""
    parts = []
    for data in sets:
        t = code(_shares(data))
        own = torch.stack([t.mean(0), t.std(0) + 1e-2])
        parts.append(own.expand(len(t), -1, -1))
    return torch.cat(parts)


def _shares(data: TrainingData) -> Tensor:
    visible = torch.tensor(data.incident_gev * data.sampling_fraction, dtype=torch.float32)
    return torch.tensor(data.showers) / visible[:, None, None, None]


def _turn(x: Tensor, rng: torch.Generator) -> Tensor:
    """Turn by quarters and mirror: exact symmetries of square cells, so eight times the showers."""
    draw = int(torch.randint(0, 8, (1,), generator=rng))
    x = torch.roll(x, draw // 2 * (SECTORS // 4), 2)
    return x.flip(2) if draw % 2 else x


@torch.no_grad()  # type: ignore[untyped-decorator]
def _sample(model: Cvae, condition: Tensor) -> Any:
    """Showers at the conditions the judge asked for, always from the same noise."""
    rng = torch.Generator().manual_seed(1)
    noise = torch.randn(len(condition), CODE + 2 * VOXELS, generator=rng)
    return model(noise, condition).numpy()


FAMILY = CvaeFamily()
