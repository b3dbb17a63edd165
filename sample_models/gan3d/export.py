"""ONNX files of 3DGAN: the generator in physical units, and the critic that scores showers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from catalog.adapt.family import Checkpoint
from catalog.domain import TensorSpec
from sample_models.gan3d.model import Critic, Sampler, noise_size, rebuild, shape_of
from sample_models.tools import export_onnx


def export_sampler(checkpoint: Checkpoint, path: Path) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Write the generator: normal noise and conditions -> showers in GeV visible."""
    config = checkpoint.config
    inputs, outputs = _inputs(config), [_showers(config, "visible energy (layer, y, x)")]
    example = {spec.name: torch.zeros(2, *spec.shape[1:]) for spec in inputs}
    example["energy_gev"] += 10.0
    export_onnx(Sampler(rebuild(checkpoint).generator, config), example, path)
    return inputs, outputs


def export_critic(checkpoint: Checkpoint, path: Path) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Write the discriminator: showers in GeV visible -> a score, larger is more like real."""
    showers = _showers(checkpoint.config, "visible energy (layer, y, x)")
    score = TensorSpec(
        name="score",
        dtype="float32",
        shape=(-1, 1),
        role="prediction",
        meaning="logit of being full simulation; independent of the rest of the batch",
    )
    example = {"showers": torch.zeros(2, *showers.shape[1:])}
    export_onnx(Critic(rebuild(checkpoint), checkpoint.config), example, path, "score")
    return [showers], [score]


def _inputs(config: Mapping[str, Any]) -> list[TensorSpec]:
    noise = TensorSpec(
        name="noise",
        dtype="float32",
        shape=(-1, noise_size(config)),
        role="noise",
        distribution="normal",
        meaning="latent vector",
    )
    units = {"energy_gev": "GeV", "theta_rad": "rad"}
    return [
        noise,
        *(
            TensorSpec(
                name=name,
                dtype="float32",
                shape=(-1, 1),
                role="condition",
                unit=units[name],
                components=(name,),
            )
            for name in config["conditions"]
        ),
    ]


def _showers(config: Mapping[str, Any], meaning: str) -> TensorSpec:
    return TensorSpec(
        name="showers",
        dtype="float32",
        shape=(-1, *shape_of(config).size),
        role="showers",
        unit="GeV",
        meaning=meaning,
    )
