"""ONNX files of 3DGAN: the generator in physical units, and the critic that scores showers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from catalog.adapt.family import Checkpoint
from catalog.domain import TensorSpec
from sample_models.gan3d.model import Critic, Sampler, noise_size, rebuild, shape_of
from sample_models.tools import export_onnx

_HALF = 256  # arrays at least this long are stored with half precision where nothing is lost


def export_sampler(checkpoint: Checkpoint, path: Path) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Write the generator: normal noise and conditions -> showers in GeV visible."""
    config = checkpoint.config
    inputs, outputs = _inputs(config), [_showers(config, "visible energy (layer, y, x)")]
    example = {spec.name: torch.zeros(2, *spec.shape[1:]) for spec in inputs}
    example["energy_gev"] += 10.0
    export_onnx(Sampler(rebuild(checkpoint).generator, config), example, path)
    _store_half(path)
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
    _store_half(path)
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


def _store_half(path: Path) -> None:
    """Keep large weights as float16, cast to float32 when loaded, where that loses nothing.

    Weights of a checkpoint are so rounded that it loses nothing: the file is half as large, and
    computes the same.
    """
    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _HALF:
            continue
        half = array.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), array):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
