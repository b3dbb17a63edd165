"""How 3DGAN learns: the losses of the reference, in its order.

Per batch: the discriminator on real and on generated showers, one after the other and with 5 % of
the labels turned round; then the generator twice (`keras/EcalEnergyTrain.py`,
`keras/AngleTrain3dGAN.py`). RMSprop with rho 0.9, epsilon 1e-7 and Keras' rate. Training ends when
every generated shower is empty, as there, or when a loss is not finite.

What differs: generated energies are those of the batch with fixed angle too (there U(10, 500) GeV,
which is the spectrum of its showers); with variable angle the generator is given the true angle,
not the one measured from the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor

from catalog.adapt.family import Plan
from catalog.errors import CatalogError
from sample_models.batches import Batch, Draw
from sample_models.gan3d.model import (
    Gan3d,
    Sampler,
    fitted_sum,
    from_image,
    noise_size,
    part_of,
    seed_of,
    to_image,
)
from sample_models.gan3d.networks import measured_angle
from sample_models.learner import Player

_FLIPPED = 0.05  # share of labels turned round
_PATIENCE = 10  # batches in which every shower may be empty, at the beginning
_CHUNK = 64  # showers sampled at once
_RMSPROP = partial(torch.optim.RMSprop, alpha=0.9, eps=1e-7)
# The reference fine-tunes with its own rate, too. Continuing on a few showers wants smaller steps,
# or the first hundred undo what the parent learned.
_SCRATCH, _CONTINUE = 1e-3, 3e-4


@dataclass(frozen=True)
class Wanted:
    """What a batch of generated showers should show: (N,) each, in units of the image."""

    energy: Tensor
    total: Tensor
    angle: Tensor | None


class Gan3dLearner:
    """What the training loop is given.

    examples : `image` (N, layer, y, x) linear, float32 or float16; `energy` (N,) in `unit_gev`;
        `theta` (N,) rad
    asked : the judge's conditions, (M, conditions) in physical units
    last : the losses of the last batch, unweighted, percentages as percent
    """

    def __init__(
        self,
        module: Gan3d,
        config: Mapping[str, Any],
        examples: Mapping[str, Any],
        asked: Tensor,
        plan: Plan,
    ) -> None:
        self.module, self.config, self.examples, self.asked = module, config, examples, asked
        # The generator first: what a recipe adds (LoRA) is its own.
        self.players: Mapping[str, Player] = {
            "generator": Player("generator.", _RMSPROP),
            "discriminator": Player("discriminator.", _RMSPROP),
        }
        self.ema, self.schedule = 0.0, "constant"  # as in the reference
        self.rate = _SCRATCH if plan.scratch else _CONTINUE
        self.augment = plan.recipe.augment or 0.0
        self.last: dict[str, float] = {}

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to."""
        return part_of(parameter)

    def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Yield the losses of one batch; each player has stepped before the next is computed.

        Raises
        ------
        CatalogError
            The training has failed: only empty showers, or a loss that is not finite.
        """
        linear = to_image(batch.rows["image"], 1)
        energy, wanted = batch.rows["energy"], self._wanted(batch, linear)
        real = linear if self.config["power"] == 1 else linear ** self.config["power"]
        with torch.no_grad():  # Keras' predict() takes the moving statistics
            fake = self.module.generator(self._seed(batch), moving=True).float()
        parts: dict[str, Tensor] = {}
        for name, image, label in (("real", real, 1.0), ("fake", fake, 0.0)):
            loss, parts[name] = self._discriminate(image, energy, label, batch.draw)
            yield "discriminator", loss
        for _ in range(2):
            loss, found = self._generate(self._seed(batch), wanted, batch.draw)
            parts |= found
            yield "generator", loss
        self.last = dict(zip(parts, torch.stack(list(parts.values())).tolist(), strict=True))
        # With lagging statistics they may look empty: dead is what is empty with its own, too.
        check_alive(batch.step, self.last, bool(fake.any()) or self.last["sum"] < 100 * (1 - 1e-6))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def sample(self, device: torch.device) -> Tensor:
        """Showers at the judge's conditions, always from the same noise, on the CPU."""
        rng, sampler = torch.Generator().manual_seed(1), Sampler(self.module.generator, self.config)
        sampler.eval()
        parts = []
        for rows in self.asked.split(_CHUNK):
            noise = torch.randn(len(rows), noise_size(self.config), generator=rng)
            columns = rows.to(device).split(1, 1)
            parts.append(sampler(noise.to(device), *columns).float().cpu())
        return torch.cat(parts)

    def _seed(self, batch: Batch) -> Tensor:
        """Input of the generator: the batch's own energies and angles, fresh noise."""
        noise = batch.draw.normal(noise_size(self.config))
        energy, theta = batch.rows["energy"][:, None], batch.rows["theta"][:, None]
        return seed_of(self.config, noise, energy, theta)

    def _wanted(self, batch: Batch, linear: Tensor) -> Wanted:
        """Fixed angle: the fitted sum. Variable angle: sum and angle of the real showers."""
        energy = batch.rows["energy"]
        if self.config["version"] != "angle":
            return Wanted(energy, fitted_sum(self.config["sum_fit"], energy), None)
        return Wanted(energy, linear.sum((1, 2, 3)), measured_angle(linear))

    def _ask(self, image: Tensor, real: bool, draw: Draw) -> tuple[Tensor, Tensor]:
        image = turned(image, draw, self.augment, self.config["version"] != "angle")
        logit, energy = self.module.discriminator(image, real)
        return logit.float(), energy.float()

    def _discriminate(
        self, image: Tensor, energy: Tensor, label: float, draw: Draw
    ) -> tuple[Tensor, Tensor]:
        """Angle and energy sum are computed, not learned: only two losses move this network."""
        logit, guess = self._ask(image, label == 1, draw)
        labels = torch.where(draw.uniform() < _FLIPPED, 1 - label, label)
        weights = self.config["loss_weights"]
        truth = F.binary_cross_entropy_with_logits(logit, labels)
        return weights[0] * truth + weights[1] * percent(guess, energy), truth.detach()

    def _generate(
        self, seed: Tensor, wanted: Wanted, draw: Draw
    ) -> tuple[Tensor, dict[str, Tensor]]:
        image = self.module.generator(seed)
        logit, guess = self._ask(image, False, draw)
        linear = from_image(image, self.config["power"])
        parts = {
            "generation": F.binary_cross_entropy_with_logits(logit, torch.ones_like(logit)),
            "energy": percent(guess, wanted.energy),
            "angle": linear.new_zeros(()),
            "sum": percent(linear.sum((1, 2, 3)), wanted.total),
        }
        if wanted.angle is not None:
            parts["angle"] = (measured_angle(linear) - wanted.angle).abs().mean()
        loss = torch.zeros_like(logit[0])
        for weight, part in zip(self.config["loss_weights"], parts.values(), strict=True):
            loss = loss + weight * part
        return loss, {name: part.detach() for name, part in parts.items()}


def percent(found: Tensor, wanted: Tensor) -> Tensor:
    """Keras' mean absolute percentage error."""
    return 100 * ((wanted - found).abs() / wanted.abs().clamp_min(1e-7)).mean()


def check_alive(step: int, losses: Mapping[str, float], lit: bool) -> None:
    """End a training that has failed, as the reference does.

    Parameters
    ----------
    step : batches before this one
    lit : whether any cell of the generated showers has energy

    Raises
    ------
    CatalogError
    """
    hint = "train with a smaller rate, another seed, or from a pretrained checkpoint"
    broken: Sequence[str] = [n for n, value in losses.items() if not abs(value) < float("inf")]
    if broken:
        raise CatalogError(f"3dgan: loss {broken[0]!r} is not finite after {step + 1} steps", hint)
    if not lit and step > _PATIENCE:
        raise CatalogError(f"3dgan: only empty showers after {step + 1} steps", hint)


def turned(image: Tensor, draw: Draw, chance: float, along_axis: bool) -> Tensor:
    """With some probability, images (N, x, y, z) under one symmetry of the square.

    Showers along the axis have eight; tilted ones, towards y, have their mirror in x only.
    """
    if chance == 0 or draw.integer(1000) >= 1000 * chance:
        return image
    symmetry = draw.integer(8)
    if symmetry % 2:
        image = image.flip(1)
    return torch.rot90(image, symmetry // 2, (1, 2)) if along_axis else image
