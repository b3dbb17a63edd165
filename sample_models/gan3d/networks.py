"""The networks of 3DGAN, both versions, layer by layer as in the reference.

Reference: github.com/svalleco/3Dgan, `keras/EcalEnergyGan.py` (fixed angle, 25 x 25 x 25 cells) and
`keras/AngleArch3dGAN.py` at 5701499 (variable angle, 51 x 51 x 25); arXiv 2109.07388. Revisions
that share these names differ inside, so the layers stand here as a table. "small" is ours: the
same plan on 13 x 13 x 25 cells, for 5 % of the arithmetic, so that a CPU can train it.

Images are (N, x, y, z) as in the reference, z along the depth; channels are the last axis wherever
the reference reshapes or flattens, so that its weights would fit. Keras means: convolutions start
Glorot-uniform with zero bias unless said otherwise, batch normalisation has momentum 0.99 and
epsilon 1e-3 unless said otherwise, LeakyReLU falls with 0.3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own name for it
from torch import Tensor, nn

Size = tuple[int, int, int]
_NONE: Size = (0, 0, 0)
_MOMENTUM = 0.01  # torch counts the new share, Keras the old one
_DROPOUT = 0.2
_TRUNCATED = 0.87962566103423978  # std of a normal cut at two sigma; Keras divides by it


@dataclass(frozen=True)
class Block:
    """Zero padding, convolution, activation, batch normalisation, upsampling: in this order."""

    filters: int
    kernel: Size
    pad: Size | None = _NONE  # on both sides; None is TensorFlow's "same"
    norm: bool = True
    up: Size = (1, 1, 1)


@dataclass(frozen=True)
class Architecture:
    """One version. `seed` is what the dense layer is reshaped to, channels last."""

    inputs: int
    seed: tuple[int, int, int, int]
    first_up: Size
    generator: tuple[Block, ...]
    last_bias: bool
    slope: float  # of the generator's LeakyReLU; 0 is ReLU
    generator_eps: float
    image: Size
    discriminator: tuple[Block, ...]
    discriminator_eps: float
    scaled_normal: bool  # the discriminator starts from VarianceScaling, not Glorot-uniform


FIXED = Architecture(
    inputs=200,
    seed=(7, 7, 8, 8),
    first_up=(1, 1, 1),
    generator=(
        Block(64, (6, 6, 8), None, up=(2, 2, 2)),
        Block(6, (6, 5, 8), (2, 2, 0), up=(2, 2, 3)),
        Block(6, (3, 3, 8), (1, 0, 3), norm=False),
    ),
    last_bias=False,
    slope=0.3,
    generator_eps=1e-3,
    image=(25, 25, 25),
    discriminator=(
        Block(32, (5, 5, 5), None, norm=False),
        Block(8, (5, 5, 5), (2, 2, 2)),
        Block(8, (5, 5, 5), (2, 2, 2)),
        Block(8, (5, 5, 5), (1, 1, 1)),
    ),
    discriminator_eps=1e-3,
    scaled_normal=False,
)
ANGLE = Architecture(
    inputs=256,
    seed=(9, 9, 8, 8),
    first_up=(6, 6, 6),
    generator=(
        Block(8, (6, 6, 8)),
        *[Block(6, (4, 4, 6), (2, 2, 1))] * 3,
        Block(6, (3, 3, 5), (1, 1, 0)),
        Block(6, (3, 3, 3), (1, 1, 0), norm=False),
    ),
    last_bias=True,
    slope=0.0,
    generator_eps=1e-6,
    image=(51, 51, 25),
    discriminator=(
        Block(16, (5, 6, 6), None, norm=False),
        *[Block(8, (5, 6, 6), (0, 0, 1))] * 2,
        Block(8, (5, 6, 6)),
    ),
    discriminator_eps=1e-6,
    scaled_normal=True,
)
SMALL = Architecture(
    inputs=64,
    seed=(7, 7, 6, 8),
    first_up=(1, 1, 1),
    generator=(
        Block(12, (4, 4, 4), None, up=(2, 2, 2)),
        Block(8, (3, 3, 4), (1, 1, 2), up=(1, 1, 2)),
        Block(8, (3, 3, 5), (1, 1, 2), norm=False),
    ),
    last_bias=False,
    slope=0.3,
    generator_eps=1e-3,
    image=(13, 13, 25),
    discriminator=(
        Block(8, (5, 5, 5), None, norm=False),
        *[Block(8, (3, 3, 5))] * 3,
    ),
    discriminator_eps=1e-3,
    scaled_normal=False,
)
ARCHITECTURES = {"fixed": FIXED, "angle": ANGLE, "small": SMALL}


def architecture(config: Mapping[str, Any]) -> Architecture:
    """The version that a configuration names, with its numbers of filters if it gives any."""
    arch = ARCHITECTURES[config["version"]]
    return replace(
        arch,
        generator=_filtered(arch.generator, config.get("generator_filters")),
        discriminator=_filtered(arch.discriminator, config.get("discriminator_filters")),
    )


def _filtered(blocks: tuple[Block, ...], filters: list[int] | None) -> tuple[Block, ...]:
    if filters is None:
        return blocks
    return tuple(replace(b, filters=n) for b, n in zip(blocks, filters, strict=True))


def keras_parameters(module: nn.Module) -> int:
    """Parameters as Keras counts them: the moving statistics of normalisation included."""
    return sum(value.numel() for value in module.state_dict().values())


def pad_same(x: Tensor, kernel: Size) -> Tensor:
    """TensorFlow's "same" padding at stride 1: of an even kernel's odd total, one more behind."""
    sides = [side for k in reversed(kernel) for side in ((k - 1) // 2, k // 2)]
    return F.pad(x, sides)


class BatchNorm(nn.Module):  # type: ignore[misc]
    """Batch normalisation that is told where its statistics come from."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor, batch: bool, update: bool) -> Tensor:
        """By the statistics of this batch, which may move the moving ones, or by those."""
        own = batch and not update
        mean, variance = (None, None) if own else (self.mean, self.variance)
        return F.batch_norm(x, mean, variance, self.weight, self.bias, batch, _MOMENTUM, self.eps)


class ConvBlock(nn.Module):  # type: ignore[misc]
    """Padding, convolution and LeakyReLU of a block; `norm` is applied by its network."""

    def __init__(self, channels: int, block: Block, slope: float, eps: float) -> None:
        super().__init__()
        self.block, self.slope = block, slope
        self.conv = nn.Conv3d(channels, block.filters, block.kernel)
        nn.init.zeros_(self.conv.bias)
        self.norm = None
        if block.norm:
            self.norm = BatchNorm(block.filters, eps)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, x, y, z) -> (N, filters, ...), before normalisation."""
        pad = self.block.pad
        if pad is None:
            x = pad_same(x, self.block.kernel)
        elif any(pad):
            x = F.pad(x, [n for n in reversed(pad) for _ in range(2)])
        return F.leaky_relu(self.conv(x), self.slope)


class Generator(nn.Module):  # type: ignore[misc]
    """(N, inputs) -> images (N, x, y, z), non-negative, as the discriminator sees them."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.seed, self.first_up = arch.seed, arch.first_up
        self.dense = nn.Linear(arch.inputs, math.prod(arch.seed))
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        channels = [arch.seed[-1], *(block.filters for block in arch.generator)]
        self.blocks = nn.ModuleList(
            ConvBlock(n, block, arch.slope, arch.generator_eps)
            for n, block in zip(channels, arch.generator, strict=False)
        )
        for block in self.blocks:  # he_uniform
            nn.init.kaiming_uniform_(block.conv.weight, nonlinearity="relu")
        self.last = nn.Conv3d(channels[-1], 1, 2, bias=arch.last_bias)
        _cut_normal(self.last.weight, 2 / (8 * channels[-1] + 8))  # glorot_normal
        if arch.last_bias:
            nn.init.zeros_(self.last.bias)

    def forward(self, z: Tensor, moving: bool = False) -> Tensor:
        """Normalised by batch statistics while training, else (or if asked) by the moving ones."""
        x = _up(self.dense(z).view(-1, *self.seed).permute(0, 4, 1, 2, 3), self.first_up)
        for block in self.blocks:
            x = block(x)
            if block.norm is not None:
                x = block.norm(x, block.norm.training and not moving, update=True)
            x = _up(x, block.block.up)
        return F.relu(self.last(x))[:, 0]


class Discriminator(nn.Module):  # type: ignore[misc]
    """Images (N, x, y, z) -> logit of `generation` and `auxiliary` energy, each (N,)."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        channels = [1, *(block.filters for block in arch.discriminator)]
        self.blocks = nn.ModuleList(
            ConvBlock(n, block, 0.3, arch.discriminator_eps)
            for n, block in zip(channels, arch.discriminator, strict=False)
        )
        features = channels[-1] * math.prod(n // 2 for n in _sizes(arch))
        self.generation, self.auxiliary = nn.Linear(features, 1), nn.Linear(features, 1)
        for layer in (*(block.conv for block in self.blocks), self.generation, self.auxiliary):
            if arch.scaled_normal:
                _cut_normal(layer.weight, 1 / layer.weight[0].numel())
            else:
                nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, real: bool = False) -> tuple[Tensor, Tensor]:
        """Judge a batch.

        While training, normalised by the batch's own statistics, as the reference does even when
        it only asks; a batch of `real` images also moves the moving ones. After `eval()` those
        are used: every image is judged as if it stood among real ones, whatever is beside it.
        """
        x = image[:, None]
        for block in self.blocks:
            x = block(x)
            if block.norm is not None:
                x = block.norm(x, block.norm.training, update=real)
            x = F.dropout(x, _DROPOUT, self.training)
        x = F.avg_pool3d(x, 2).permute(0, 2, 3, 4, 1).flatten(1)
        return self.generation(x)[:, 0], self.auxiliary(x)[:, 0]


def _sizes(arch: Architecture) -> list[int]:
    """Cells per axis after the discriminator's last convolution."""
    size = list(arch.image)
    for block in arch.discriminator:
        if block.pad is not None:
            size = [
                n + 2 * p - k + 1 for n, p, k in zip(size, block.pad, block.kernel, strict=True)
            ]
    return size


def _up(x: Tensor, factor: Size) -> Tensor:
    """UpSampling3D: every cell repeated."""
    if factor == (1, 1, 1):
        return x
    return F.interpolate(x, scale_factor=tuple(float(n) for n in factor), mode="nearest")


def _cut_normal(weight: Tensor, variance: float) -> None:
    std = math.sqrt(variance) / _TRUNCATED
    nn.init.trunc_normal_(weight, 0.0, std, -2 * std, 2 * std)


def measured_angle(image: Tensor) -> Tensor:
    """The angle of a shower to the y axis, from its barycentres per layer (N,), rad.

    As `ecal_angle` of the reference, in units of cells: pi/2 is along z, an empty image gives 100.
    Every layer with energy gives the slope of the line from the barycentre of the whole shower to
    its own, weighted by its depth.

    Parameters
    ----------
    image : (N, x, y, z) linear energies
    """
    x, y, z = (torch.arange(n, device=image.device) + 0.5 for n in image.shape[1:])
    per_z, per_xz, per_yz = image.sum((1, 2)), image.sum(2), image.sum(1)
    total = per_z.sum(1)
    filled, lit = total > 0, per_z > 0
    safe, safe_z = torch.where(filled, total, 1.0)[:, None], torch.where(lit, per_z, 1.0)
    x_mid, y_mid = (per_xz * x[:, None]).sum(1), (per_yz * y[:, None]).sum(1)
    x_ref, y_ref = x_mid.sum(1, keepdim=True) / safe, y_mid.sum(1, keepdim=True) / safe
    z_ref = (per_z * z).sum(1, keepdim=True) / safe
    x_mid, y_mid = x_mid / safe_z, y_mid / safe_z
    along = torch.sqrt(((x_mid - x_ref) ** 2 + (z - z_ref) ** 2).clamp_min(1e-7))
    slope = (y_mid - y_ref) / along * torch.where(z < z_ref, -1.0, 1.0)
    weight = z * lit
    angle = (weight * (math.pi / 2 - torch.atan(slope))).sum(1)
    return torch.where(filled, angle / torch.where(filled, weight.sum(1), 1.0), 100.0)
