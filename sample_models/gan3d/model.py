"""3DGAN in physical units: its configuration, its images, and what is exported.

An image of the reference is a multiple of the deposited energy: 100 per GeV (`xscale`) with fixed,
50 per GeV with variable angle, in a calorimeter that sees 2 % of the energy. `gain` / sampling
fraction is the same number for any calorimeter, so images mean the same in each. With variable
angle a cell is then raised to the power 0.85. Energies are in 100 GeV (`unit_gev`); the reference's
showers go up to 500 GeV, and a smaller unit lets showers of smaller energies fill the same range of
numbers, energies and images alike. The reference measures angles from the surface: pi/2 is along
the axis, and its y is our x, along which showers are tilted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from catalog.adapt.family import Checkpoint
from catalog.showers import Shape
from sample_models.gan3d.networks import Discriminator, Generator, architecture
from sample_models.tools import load_weights

UNIT_GEV = 100.0
CELLS = {"fixed": 25, "angle": 51, "small": 13}  # a side
SMALL_CELL_RM = 0.45  # of the small version
_FIT_DEGREE, _FIT_SHOWERS = 4, 500  # the reference's degree; fewer showers bear a line only
_FIT_MOST = 5000  # more say nothing new

# `loss_weights` are those of generation, energy, angle and energy sum. `threshold` is the
# reference's 1e-6 GeV, as an image. Showers that sum to less than `minimum_sum` do not train:
# percentages of almost nothing would drown all other losses.
_ALONG: dict[str, Any] = {
    "gain": 2.0,
    "power": 1.0,
    "threshold": 1e-4,
    "minimum_sum": 10.0,
    "loss_weights": [2.0, 0.1, 0.0, 0.1],
    "conditions": ["energy_gev"],
}
_OWN: dict[str, dict[str, Any]] = {
    "fixed": _ALONG,
    "small": _ALONG,
    "angle": {
        "gain": 1.0,
        "power": 0.85,
        "threshold": 0.0,
        "minimum_sum": 10.0,
        "loss_weights": [3.0, 0.1, 25.0, 0.1],
        "conditions": ["energy_gev", "theta_rad"],
    },
}


def native_config(
    x0_mm: float,
    rm_mm: float,
    layer_mm: float,
    cell_mm: float,
    version: str = "fixed",
    unit_gev: float = UNIT_GEV,
) -> dict[str, Any]:
    """Configuration of a fresh model: 25 layers of `CELLS[version]` x as many cells."""
    cells = CELLS[version]
    own, finer = _OWN[version], UNIT_GEV / unit_gev
    return {
        "version": version,
        **own,
        "unit_gev": unit_gev,
        "gain": own["gain"] * finer,
        "threshold": own["threshold"] * finer,
        "sampling_fraction": 1.0,
        "sum_fit": [own["gain"] * UNIT_GEV],
        "depth_x0": [i * layer_mm / x0_mm for i in range(26)],
        "side_rm": [(i - cells / 2) * cell_mm / rm_mm for i in range(cells + 1)],
    }


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The mesh of a configuration: (25 layers, y, x)."""
    side = tuple(config["side_rm"])
    return Shape("cartesian", tuple(config["depth_x0"]), side, side)


class Gan3d(nn.Module):  # type: ignore[misc]
    """Generator and discriminator: both are needed to continue training."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        arch = architecture(config)
        self.generator, self.discriminator = Generator(arch), Discriminator(arch)
        self.to(memory_format=torch.channels_last_3d)  # up to twice as fast on a CPU


def rebuild(checkpoint: Checkpoint) -> Gan3d:
    """The model of a checkpoint.

    Raises
    ------
    BadFile
        Its arrays do not fit its configuration.
    """
    model = Gan3d(checkpoint.config)
    load_weights(model, checkpoint.weights)
    return model


def part_of(parameter: str) -> str:
    """The part of a parameter, as recipes name it; the discriminator's heads are its last block."""
    network, _, rest = parameter.partition(".")
    block = rest.split(".")[1] if rest.startswith("blocks.") else ""
    if network == "discriminator":
        return f"critic.{block or 4}"
    if block:
        return f"backbone.{block}"
    return "head" if rest.startswith("last") else "embedder"


def linear_images(
    showers: NDArray[np.float32], fraction: float, config: Mapping[str, Any]
) -> NDArray[np.float32]:
    """Showers (N, layer, y, x) in GeV visible as linear image energies, small cells cut."""
    images = showers * np.float32(config["gain"] / fraction)
    images[images < config["threshold"]] = 0
    return images


def to_image(linear: Tensor, power: float) -> Tensor:
    """(N, layer, y, x) linear energies -> (N, x, y, z) of the reference, raised to the power."""
    image = linear.float().permute(0, 2, 3, 1)
    return image if power == 1 else image**power


def from_image(image: Tensor, power: float) -> Tensor:
    """Linear energies of an image (N, x, y, z), in its own order of axes."""
    return image.float() if power == 1 else image.float() ** (1 / power)


def seed_of(config: Mapping[str, Any], noise: Tensor, energy: Tensor, theta: Tensor) -> Tensor:
    """What the generator is given.

    Parameters
    ----------
    noise : normal, (N, 254) with variable angle, else (N, 200), (N, 64) of the small version
    energy : (N, 1), in `unit_gev`;  theta : (N, 1), rad to the axis
    """
    if config["version"] != "angle":
        return energy * noise
    return torch.cat([energy, math.pi / 2 - theta, noise], 1)


def noise_size(config: Mapping[str, Any]) -> int:
    """How many normal numbers one shower takes."""
    inputs = architecture(config).inputs
    return inputs - 2 if config["version"] == "angle" else inputs


def fit_sums(linear: NDArray[Any], energy: NDArray[Any]) -> list[float]:
    """Polynomial of sum / energy in energy (`unit_gev`), highest power first, of the first showers.

    The reference has such a fit for its own calorimeter only (`GetEcalFit`).
    """
    gev = energy[:_FIT_MOST].astype(np.float64)
    sums = linear[:_FIT_MOST].sum((1, 2, 3), dtype=np.float64)
    degree = _FIT_DEGREE if len(gev) >= _FIT_SHOWERS else 1
    degree = degree if len(np.unique(gev)) > degree else 0
    return [float(c) for c in np.polyfit(gev, sums / gev, degree)]


def fitted_sum(coefficients: Sequence[float], energy: Tensor) -> Tensor:
    """The sum of an image that a particle of this energy (`unit_gev`) should leave."""
    total = torch.zeros_like(energy)
    for coefficient in coefficients:
        total = total * energy + coefficient
    return total * energy


class Sampler(nn.Module):  # type: ignore[misc]
    """What is exported: noise and conditions in physical units -> GeV visible."""

    def __init__(self, generator: Generator, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.generator, self.config = generator, dict(config)

    def forward(self, noise: Tensor, energy_gev: Tensor, theta_rad: Tensor | None = None) -> Tensor:
        """(N, noise), (N, 1), (N, 1) -> (N, layer, y, x); cells below the threshold are 0."""
        config = self.config
        theta = torch.zeros_like(energy_gev) if theta_rad is None else theta_rad
        seed = seed_of(config, noise, energy_gev / config["unit_gev"], theta)
        cells = from_image(self.generator(seed), config["power"]).permute(0, 3, 1, 2)
        if config["threshold"] > 0:
            cells = torch.where(cells >= config["threshold"], cells, torch.zeros_like(cells))
        return cells * (config["sampling_fraction"] / config["gain"])


class Critic(nn.Module):  # type: ignore[misc]
    """The discriminator as a scorer: showers in GeV visible -> how much like full simulation.

    The reference normalises by the batch even here, so a shower's score depends on its
    neighbours. A scorer must not: this one uses the moving statistics of real showers.
    """

    def __init__(self, model: Gan3d, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.discriminator, self.config = model.discriminator, dict(config)

    def forward(self, showers: Tensor) -> Tensor:
        """(N, layer, y, x) -> (N, 1), the logit of the reference's `generation`."""
        linear = showers * (self.config["gain"] / self.config["sampling_fraction"])
        image = to_image(linear, self.config["power"])
        return self.discriminator(image)[0][:, None]
