"""Tiny ONNX models of no particular physics: what the server must serve alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Version:
    """What `catalog.pull` returns, without a store."""

    name: str
    version: int
    digest: str
    folder: Path


def value(name: str, kind: int, shape: list[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def save(folder: Path, nodes: list, inputs: list, outputs: list, constants: list = ()) -> None:
    folder.mkdir(parents=True)
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, list(constants))
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "model.onnx"))


def affine(folder: Path, factor: float = 3.0) -> None:
    """(batch, 4) -> y = softmax(factor x), z = sum of x: a regressor or a tagger, no shower."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [], [factor])
    save(
        folder,
        [
            helper.make_node("Mul", ["x", "w"], ["h"]),
            helper.make_node("Softmax", ["h"], ["y"], axis=1),
            helper.make_node("ReduceSum", ["x", "axes"], ["z"], keepdims=0),
        ],
        [value("x", TensorProto.FLOAT, ["batch", 4])],
        [value("y", TensorProto.FLOAT, ["batch", 4]), value("z", TensorProto.FLOAT, ["batch"])],
        [weight, axes],
    )


def gather(folder: Path) -> None:
    """Two inputs of different types that share the batch: out[i] = x[i] * k[i] ** 0, and k."""
    save(
        folder,
        [
            helper.make_node("Cast", ["k"], ["kf"], to=TensorProto.DOUBLE),
            helper.make_node("Mul", ["x", "kf"], ["scaled"]),
            helper.make_node("Gather", ["table", "k"], ["picked"]),
        ],
        [
            value("x", TensorProto.DOUBLE, ["batch"]),
            value("k", TensorProto.INT64, ["batch"]),
        ],
        [
            value("scaled", TensorProto.DOUBLE, ["batch"]),
            value("picked", TensorProto.FLOAT, ["batch"]),
        ],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [10.0, 20.0, 30.0])],
    )


KINDS = {
    "BOOL": TensorProto.BOOL,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def identity(folder: Path) -> None:
    """One input and one output of every datatype: what comes in goes out."""
    save(
        folder,
        [helper.make_node("Identity", [f"in_{kind}"], [f"out_{kind}"]) for kind in KINDS],
        [value(f"in_{kind}", code, [None, 2]) for kind, code in KINDS.items()],
        [value(f"out_{kind}", code, [None, 2]) for kind, code in KINDS.items()],
    )


def wide(folder: Path) -> None:
    """A small input with an answer far larger: (batch, 1) -> (batch, 60000)."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, 60000])
    save(
        folder,
        [helper.make_node("Expand", ["x", "shape"], ["y"])],
        [value("x", TensorProto.FLOAT, ["batch", 1])],
        [value("y", TensorProto.FLOAT, ["batch", 60000])],
        [shape],
    )


def not_finite(folder: Path) -> None:
    """y = log(x), so that zero gives minus infinity."""
    save(
        folder,
        [helper.make_node("Log", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, ["batch"])],
        [value("y", TensorProto.FLOAT, ["batch"])],
    )


MODELS = {
    "affine@1": lambda folder: affine(folder, 3.0),
    "affine@2": lambda folder: affine(folder, -1.0),
    "gather@1": gather,
    "identity@7": identity,
    "wide@1": wide,
    "log@1": not_finite,
}


def dense(folder: Path, seed: int, size: int = 256) -> None:
    """y = x W with W of its own for every seed: 4 size^2 bytes of weights."""
    weight = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    save(
        folder,
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", TensorProto.FLOAT, ["batch", size])],
        [value("y", TensorProto.FLOAT, ["batch", size])],
        [numpy_helper.from_array(weight, "w")],
    )


def row_sum(folder: Path) -> None:
    """y = x - sum over the batch: a model whose rows are not independent."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [0])
    save(
        folder,
        [
            helper.make_node("ReduceSum", ["x", "axes"], ["s"], keepdims=1),
            helper.make_node("Sub", ["x", "s"], ["y"]),
        ],
        [value("x", TensorProto.FLOAT, ["batch", 4])],
        [value("y", TensorProto.FLOAT, ["batch", 4])],
        [axes],
    )


def fixed(folder: Path) -> None:
    """Two rows, no more and no less."""
    save(
        folder,
        [helper.make_node("Neg", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, [2, 4])],
        [value("y", TensorProto.FLOAT, [2, 4])],
    )


def rows(n: int, seed: int = 0) -> np.ndarray:
    """n rows of four numbers: what most of these models take."""
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


def direct(versions: dict, ref: str, **inputs: np.ndarray) -> list[np.ndarray]:
    """What ONNX Runtime itself answers."""
    session = ort.InferenceSession(versions[ref].folder / "model.onnx")
    return session.run(None, inputs)
