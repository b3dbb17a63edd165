"""3dgan: a small three-dimensional convolutional GAN for calorimeter showers.

After 3DGAN (svalleco/3Dgan; Khattak et al., 10.1140/epjc/s10052-022-10258-4): a 3-D convolutional
generator, and a discriminator with three heads: real or fake, the incident energy (auxiliary
regression), and the visible energy sum, which is not learned but added up. Voxels are raised to a
power below one, so that small deposits count. What differs: strided convolutions (about 10 MMAC
per shower, so that two CPU cores can train it), energies as shares of the visible energy that the
beam should give (E x sampling fraction), a learned mean shower under the generator's last layer,
and an energy sum that the generator draws first and then shares out.
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
from catalog.showers import Shape
from sample_models.tools import export_onnx, follow, load_weights, repeatable, weights_of

SIDE = 25  # voxels along each axis
_FLIP = 0.05  # share of labels turned round for the discriminator, as in 3DGAN
_SUM_WEIGHT, _ENERGY_WEIGHT = 10.0, 0.3
_RATES = {"full": 1e-4, "scratch": 3e-4}  # the generator's; the discriminator learns twice as fast
_JUDGEMENTS = 20
_EMA = 0.995


def native_config(x0_mm: float, rm_mm: float, layer_mm: float, cell_mm: float) -> dict[str, Any]:
    """Configuration of a fresh model on a block of 25 x 25 x 25 cells."""
    half = SIDE / 2
    return {
        "latent": 64,
        "channels": 32,
        "power": 0.4,
        "sampling_fraction": 1.0,
        "depth_x0": [i * layer_mm / x0_mm for i in range(SIDE + 1)],
        "side_rm": [(i - half) * cell_mm / rm_mm for i in range(SIDE + 1)],
    }


class Generator(nn.Module):  # type: ignore[misc]
    """(noise, ln E) -> shares of the expected visible energy, (N, 25, 25, 25)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        c, self.latent, self.power = config["channels"], config["latent"], config["power"]
        self.fraction = config["sampling_fraction"]
        self.dense = nn.Linear(self.latent + 1, c * 4**3)
        self.up1 = nn.ConvTranspose3d(c, c, 3, 2, 1)  # 4 -> 7
        self.up2 = nn.ConvTranspose3d(c, c // 2, 3, 2, 1)  # 7 -> 13
        self.up3 = nn.ConvTranspose3d(c // 2, 3, 3, 2, 1)  # 13 -> 25: gain, shift, grain
        self.norm = nn.ModuleList(nn.GroupNorm(4, n) for n in (c, c, c // 2))
        self.energy = nn.ModuleList(nn.Linear(self.latent + 1, 2 * n) for n in (c, c, c // 2))
        self.mean = nn.Parameter(torch.zeros(2, SIDE**3))
        self.total = nn.Linear(self.latent + 1, 1)  # ln of the energy sum

    def forward(self, noise: Tensor, energy_gev: Tensor) -> Tensor:
        """Showers in GeV visible, (N, 25, 25, 25)."""
        compressed = self.compressed(noise, scaled(energy_gev))
        shares = compressed.clamp_min(0) ** (1 / self.power)
        return shares * (energy_gev * self.fraction)[:, :, None, None]

    def compressed(self, noise: Tensor, energy: Tensor) -> Tensor:
        """Shares to the power that the discriminator sees. noise: voxel noise after the latent."""
        latent, grain = noise[:, : self.latent], noise[:, self.latent :]
        seed = torch.cat([latent, energy], 1)
        x = self.dense(seed).view(-1, self.up1.in_channels, 4, 4, 4)
        for norm, style, up in zip(
            self.norm, self.energy, (self.up1, self.up2, self.up3), strict=True
        ):
            gain, shift = style(seed)[:, :, None, None, None].chunk(2, 1)
            x = up(F.leaky_relu(norm(x) * (1 + gain) + shift, 0.2))
        gain, shift, spread = x.unbind(1)
        mean = (self.mean[0] + self.mean[1] * energy).view(-1, SIDE, SIDE, SIDE)
        grain = grain.view(-1, SIDE, SIDE, SIDE) * F.softplus(spread - 1)
        x = torch.relu(mean * (1 + gain + grain) + 0.1 * shift)
        found = (x ** (1 / self.power)).sum((1, 2, 3)).clamp_min(1e-6)
        wanted = torch.exp(0.1 * self.total(seed))[:, 0]
        return x * ((wanted / found) ** self.power)[:, None, None, None]


class Discriminator(nn.Module):  # type: ignore[misc]
    """Compressed showers and ln E -> (real or fake, ln E), each (N,)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        c, self.power = config["channels"], config["power"]
        norm = nn.utils.parametrizations.spectral_norm
        self.convs = nn.ModuleList(
            norm(nn.Conv3d(a, b, k, 2, k // 2))
            for a, b, k in ((2, c // 2, 3), (c // 2, c, 3), (c, 2 * c, 3))
        )
        self.profile = norm(nn.Linear(3 * SIDE + 2, 64))
        self.hidden = norm(nn.Linear(2 * c * 4**3 + 64, 64))
        self.judge, self.of_energy = nn.Linear(64, 1), nn.Linear(1, 64)
        self.regress = nn.Linear(64, 1)

    def forward(self, x: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
        """Judge compressed showers (N, 25, 25, 25)."""
        shares = x.clamp_min(1e-9) ** (1 / self.power)
        sums = [torch.log(shares.sum(axes) + 1e-4) for axes in ((2, 3), (1, 3), (1, 2))]
        root = torch.sqrt(x + 1e-4) - 1e-2
        hits = root.mean((1, 2, 3))[:, None]  # how many voxels are lit, smoothly
        total = shares.sum((1, 2, 3))[:, None]
        profile = F.leaky_relu(self.profile(torch.cat([*sums, 4 * hits, 4 * total], 1)), 0.2)
        h = torch.stack([x, root], 1).contiguous(memory_format=torch.channels_last_3d)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), 0.2)
        h = F.leaky_relu(self.hidden(torch.cat([h.flatten(1), profile], 1)), 0.2)
        told = (h * self.of_energy(energy)).sum(1) / 8
        return self.judge(h)[:, 0] + told, self.regress(h)[:, 0]


class Gan3d(nn.Module):  # type: ignore[misc]
    """Generator and discriminator: both are needed to continue training."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.generator, self.discriminator = Generator(config), Discriminator(config)
        self.to(memory_format=torch.channels_last_3d)  # 3-D convolutions on a CPU: 7 times faster


class Gan3dFamily:
    """The family as the catalog sees it."""

    name = "3dgan"

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """A block of cells, in X0 along the shower and R_M across."""
        side = tuple(config["side_rm"])
        return Shape("cartesian", tuple(config["depth_x0"]), side, side)

    def train(
        self,
        sets: Sequence[TrainingData],
        start: Checkpoint,
        plan: Plan,
        judge: Judge,
        progress: Progress,
    ) -> Checkpoint:
        """Train on showers of one detector; return the judged best of the averaged generators."""
        (data,) = sets
        config = {**start.config, "sampling_fraction": data.sampling_fraction}
        with repeatable(plan.seed) as rng:
            model = Gan3d(config)
            real, energy = _prepare(data, config["power"])
            if plan.strategy == "scratch":
                _start_from_mean(model.generator, real, energy)
            else:
                load_weights(model, start.weights)
            best = _Trainer(model, plan, rng).run(real, energy, data, judge, progress)
            return Checkpoint(self.name, config, weights_of(best))

    def export(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write the generator as ONNX: noise and energy_gev -> showers."""
        model = Gan3d(checkpoint.config)
        load_weights(model, checkpoint.weights)
        size = model.generator.latent + SIDE**3
        example = {"noise": torch.zeros(2, size), "energy_gev": torch.full((2, 1), 10.0)}
        export_onnx(model.generator, example, path)
        return (
            [
                TensorSpec(
                    name="noise",
                    dtype="float32",
                    shape=(-1, size),
                    role="noise",
                    distribution="normal",
                    meaning="latent vector, then one per voxel",
                ),
                TensorSpec(
                    name="energy_gev",
                    dtype="float32",
                    shape=(-1, 1),
                    role="condition",
                    unit="GeV",
                    components=("energy_gev",),
                ),
            ],
            [
                TensorSpec(
                    name="showers",
                    dtype="float32",
                    shape=(-1, SIDE, SIDE, SIDE),
                    role="showers",
                    unit="GeV",
                    meaning="visible energy (layer, y, x)",
                ),
            ],
        )


class _Trainer:
    """Alternate discriminator and generator steps."""

    def __init__(self, model: Gan3d, plan: Plan, rng: torch.Generator) -> None:
        self.model, self.plan, self.rng = model, plan, rng
        self.average = copy.deepcopy(model)
        rate = plan.lr or _RATES[plan.strategy]
        betas = (0.5, 0.95)
        self.opt_g = torch.optim.Adam(model.generator.parameters(), rate, betas)
        self.opt_d = torch.optim.Adam(model.discriminator.parameters(), 2 * rate, betas)

    def run(
        self, real: Tensor, energy: Tensor, data: TrainingData, judge: Judge, progress: Progress
    ) -> Gan3d:
        """Train for `plan.steps`; the judge chooses among the start and 20 steps."""
        steps = self.plan.steps
        best, best_score = copy.deepcopy(self.average), judge(_sample(self.average, data))
        every = max(1, steps // _JUDGEMENTS)
        for step in range(steps):
            pick = torch.randint(0, len(real), (self.plan.batch,), generator=self.rng)
            turned, gev = _turn(real[pick], self.rng), energy[pick]
            fake = self.model.generator.compressed(self._noise(len(gev)), gev)
            self._discriminate(turned, fake.detach(), gev)
            self._generate(turned, fake, gev)
            self._cool(step, steps)
            follow(self.average, self.model, step, _EMA)
            if (step + 1) % every == 0 or step + 1 == steps:
                score = judge(_sample(self.average, data))
                if score < best_score:
                    best, best_score = copy.deepcopy(self.average), score
                progress(step + 1, steps)
        return best

    def _cool(self, step: int, steps: int) -> None:
        """Let the rates fall to a tenth over the last half."""
        factor = min(1.0, 0.1 + 1.8 * (1 - (step + 1) / steps))
        rate = self.plan.lr or _RATES[self.plan.strategy]
        for optimiser, base in ((self.opt_g, rate), (self.opt_d, 2 * rate)):
            for group in optimiser.param_groups:
                group["lr"] = base * factor

    def _noise(self, n: int) -> Tensor:
        return torch.randn(n, self.model.generator.latent + SIDE**3, generator=self.rng)

    def _discriminate(self, real: Tensor, fake: Tensor, energy: Tensor) -> None:
        told, guess = self.model.discriminator(torch.cat([real, fake]), torch.cat([energy] * 2))
        label = torch.cat([torch.ones(len(real)), torch.zeros(len(real))])
        turned = (torch.rand(len(label), generator=self.rng) < _FLIP).float()
        loss = F.binary_cross_entropy_with_logits(told, torch.abs(label - turned))
        loss = loss + _ENERGY_WEIGHT * F.l1_loss(guess[: len(real)], energy[:, 0])
        self.opt_d.zero_grad(set_to_none=True)
        loss.backward()
        self.opt_d.step()

    def _generate(self, real: Tensor, fake: Tensor, energy: Tensor) -> None:
        told, guess = self.model.discriminator(fake, energy)
        power = 1 / self.model.generator.power
        sums = [(x**power).sum((1, 2, 3)).mean() for x in (fake, real)]
        loss = F.binary_cross_entropy_with_logits(told, torch.ones(len(real)))
        loss = loss + _ENERGY_WEIGHT * F.l1_loss(guess, energy[:, 0])
        loss = loss + _SUM_WEIGHT * (sums[0] - sums[1]).abs() / sums[1]
        self.opt_g.zero_grad(set_to_none=True)
        loss.backward()
        self.opt_g.step()


def scaled(energy_gev: Tensor) -> Tensor:
    """ln E, of order one between 1 and 100 GeV."""
    return (torch.log(energy_gev) - 2.3) / 1.3


def _prepare(data: TrainingData, power: float) -> tuple[Tensor, Tensor]:
    gev = torch.tensor(data.incident_gev, dtype=torch.float32)
    shares = torch.tensor(data.showers) / (gev * data.sampling_fraction)[:, None, None, None]
    return shares.clamp_min(0) ** power, scaled(gev)[:, None]


def _start_from_mean(generator: Generator, real: Tensor, energy: Tensor) -> None:
    """Put the mean shower (and its slope in ln E) under a generator that has learned nothing."""
    e = energy[:, 0] - energy.mean()
    power = generator.power
    shares = real ** (1 / power)
    total = shares.sum((1, 2, 3)).log()
    mean = shares.mean(0).clamp_min(1e-7)
    slope = torch.einsum("n,nzyx->zyx", e, shares) / (e**2).sum()
    slope = power * mean**power * (slope / mean).clamp(-1, 1)  # d(mean^power) / d ln E
    with torch.no_grad():
        line = torch.stack([mean**power - slope * energy.mean(), slope])
        generator.mean.copy_(line.flatten(1))
        generator.up3.weight.mul_(0.3)
        generator.total.weight.copy_(10 * total.std() * torch.randn(1, generator.latent + 1) / 8)
        generator.total.bias.fill_(10 * float(total.mean()))


def _turn(x: Tensor, rng: torch.Generator) -> Tensor:
    """Turn and mirror showers by one of the eight symmetries of the square: physics has no left."""
    turns, mirror = (
        torch.randint(0, 8, (1,), generator=rng).item() % 4,
        torch.rand(1, generator=rng),
    )
    x = torch.rot90(x, int(turns), (2, 3))
    return x.flip(3) if mirror < 0.5 else x


@torch.no_grad()  # type: ignore[untyped-decorator]
def _sample(model: Gan3d, data: TrainingData) -> Any:
    """Showers at the energies the judge asked for, always from the same noise."""
    generator, rng = model.generator, torch.Generator().manual_seed(1)
    parts = []
    for gev in torch.tensor(data.judge_gev, dtype=torch.float32).split(64):
        noise = torch.randn(len(gev), generator.latent + SIDE**3, generator=rng)
        parts.append(generator(noise, gev[:, None]))
    return torch.cat(parts).numpy()


FAMILY = Gan3dFamily()
