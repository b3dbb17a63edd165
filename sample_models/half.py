"""Weights in half precision: half the bytes to store, move and ship, and the same result.

Training ends by rounding the large arrays of its checkpoint to float16; so an ONNX file can keep
them as float16, cast to float32 when loaded, and computes the same as the checkpoint.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from catalog.adapt.family import Checkpoint

_LARGE = 256  # arrays at least this long are rounded


def rounded(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with its large arrays in float16, where they fit."""
    weights: dict[str, NDArray[Any]] = {
        name: array.astype(np.float16) if _fits(array) else array
        for name, array in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=weights)


def _fits(array: NDArray[Any]) -> bool:
    return array.size >= _LARGE and bool(np.abs(array).max() <= np.finfo(np.float16).max)


def store_half(path: Path) -> None:
    """Keep large weights of an ONNX file as float16 where that loses nothing."""
    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _LARGE:
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
