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

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn

from catalog.adapt.family import Checkpoint, Judge, Plan, Running, Trained, TrainingData
from catalog.domain import TensorSpec
from catalog.showers import PHYSICS_SHAPE, Shape, ShowerSet
from sample_models.batches import Batch, Draw, lone_draw
from sample_models.learner import Player, start_weights
from sample_models.tools import export_onnx, load_weights, repeatable
from sample_models.trainer import fit

LAYERS, SECTORS, RINGS = PHYSICS_SHAPE.size
VOXELS = LAYERS * SECTORS * RINGS
ZONES = ((0, 5), (5, 10), (10, LAYERS))  # rings are summed in these layers (X0)
BELTS = ((0, 1), (1, 2), (2, RINGS))  # sectors are summed in these rings
CODE = 1 + LAYERS + len(ZONES) * RINGS + len(BELTS) * SECTORS
HIT = 2e-5  # a voxel is hit above this share, as in catalog.physics.observables
_FLOOR = (3e-4, 2e-3, 5e-3)  # added to layer, ring and sector fractions before the logarithm
_SHARP = 2.5  # how sharply log energy bends at the hit threshold
_BLUR = 0.03  # spread of q(t|x), in standard deviations of the code
_BODY = 99  # the decoder comes after every coupling

# Where neither recipe nor defaults.yaml gives a rate. One rate for all parts did as well as faster
# biases and a slower body.
RATES = {"full": 1e-3, "scratch": 1.6e-2}


def fresh_config(particles: tuple[int, ...]) -> dict[str, Any]:
    """Configuration of an untrained model; of photons and others it is told which."""
    mixed = len({pdg == 22 for pdg in particles}) > 1
    names = ["energy_gev", "is_photon"] if mixed else ["energy_gev"]
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

    def loss(self, shares: Tensor, c: Tensor, scale: Tensor, draw: Draw) -> Tensor:
        """Negative evidence lower bound per shower; scale: own mean and spread (N, 2, CODE)."""
        t = (code(shares) - scale[:, 0]) / scale[:, 1]
        t = t + _BLUR * draw.normal(CODE)
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


def part_of(parameter: str) -> str:
    """`base` takes the conditions; couplings and decoder are blocks; `voxel` is the head."""
    where = parameter.split(".")
    if where[0] == "flow":
        return f"backbone.{where[1]}"
    return {"base": "embedder", "body": f"backbone.{_BODY}"}.get(where[0], "head")


class CvaeFamily:
    """The family as the catalog sees it."""

    name = "cvae"

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """25 layers of 1 X0, 8 sectors, rings of R_M / 2."""
        return PHYSICS_SHAPE

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        return part_of(parameter)

    def fresh(self, sets: Sequence[ShowerSet]) -> dict[str, Any]:
        """Configuration of an untrained model; the mesh is always the same."""
        return fresh_config(tuple(dict.fromkeys(showers.pdg for showers in sets)))

    def train(
        self,
        sets: Sequence[TrainingData],
        start: Checkpoint,
        plan: Plan,
        judge: Judge,
        running: Running,
    ) -> Trained:
        """Train on one or several detectors; return the judged best of the averaged weights."""
        config = {**start.config, "sampling_fraction": sets[0].sampling_fraction}
        with repeatable(plan.seed):
            learner = CvaeLearner(config, sets, start, plan)
            return fit(learner, config, self.name, plan, judge, running)

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
        names = config["conditions"]
        shares = torch.cat([_shares(data) for data in sets])
        given = torch.cat([torch.tensor(data.conditions(names)) for data in sets])
        scale = _own_scale(sets)
        if plan.recipe.calibrate or plan.scratch:
            _start_from_statistics(self.module, shares, scaled(given), scale, plan.scratch)
        else:  # in the units of the parent's detector
            scale = torch.stack([self.module.mean, self.module.std]).expand(len(shares), -1, -1)
        self.examples = {"shares": shares, "given": scaled(given), "scale": scale}
        self.asked = torch.tensor(sets[0].judge_conditions(names))

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        return part_of(parameter)

    def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """The negative evidence lower bound."""
        rows = batch.rows
        turned = _turn(rows["shares"], batch.draw, self.augment)
        yield "", self.module.loss(turned, rows["given"], rows["scale"], batch.draw)

    def sample(self, device: torch.device) -> Tensor:
        """Showers at the conditions the judge asked for, always from the same noise."""
        noise = lone_draw(1, len(self.asked), device).normal(CODE + 2 * VOXELS)
        showers: Tensor = self.module(noise, self.asked.to(device))
        return showers


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


def _turn(x: Tensor, draw: Draw, chance: float) -> Tensor:
    """Turn by quarters and mirror: exact symmetries of square cells, so eight times the showers."""
    which, lot = draw.integer(8), draw.integer(1000)
    if lot >= 1000 * chance:
        return x
    x = torch.roll(x, which // 2 * (SECTORS // 4), 2)
    return x.flip(2) if which % 2 else x


FAMILY = CvaeFamily()
