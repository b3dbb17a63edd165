"""Tiny models and shower files that tests publish, pull and validate. They are toys and say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from catalog.card import Card, card_yaml
from catalog.domain import Domain, TensorSpec, load_detector
from catalog.domain.domain import ShapeSpec
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from catalog.testvectors import write_test_vectors

GRID = PHYSICS_SHAPE.size


def profile(depth: float = 6.0) -> np.ndarray:
    """A gamma-like shower shape on PHYSICS_SHAPE that sums to one."""
    z = np.arange(GRID[0]) + 0.5
    longitudinal = z**3 * np.exp(-z / depth * 3)
    radial = np.exp(-np.arange(GRID[2]) * 1.5)
    shape = longitudinal[:, None, None] * np.ones((1, GRID[1], 1)) * radial
    return (shape / shape.sum()).astype(np.float32)


def generator_onnx(fraction: float, depth: float = 6.0) -> onnx.ModelProto:
    """showers = energy x fraction x profile x exp(0.1 noise)."""
    constants = [
        numpy_helper.from_array(profile(depth)[None] * np.float32(fraction), "profile"),
        numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "column"),
        numpy_helper.from_array(np.array(0.1, np.float32), "tenth"),
    ]
    nodes = [
        helper.make_node("Mul", ["noise", "tenth"], ["small"]),
        helper.make_node("Exp", ["small"], ["factor"]),
        helper.make_node("Mul", ["factor", "energy_gev"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "column"], ["scale"]),
        helper.make_node("Mul", ["scale", "profile"], ["showers"]),
    ]
    inputs = [
        helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("energy_gev", TensorProto.FLOAT, ["batch", 1]),
    ]
    outputs = [helper.make_tensor_value_info("showers", TensorProto.FLOAT, ["batch", *GRID])]
    graph = helper.make_graph(nodes, "toy generator", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def generator_card(name: str, detector: str = "clic-siw", **changes: Any) -> Card:
    """The card of a toy generator."""
    shape = ShapeSpec(
        kind="polar", depth_x0=PHYSICS_SHAPE.depth_x0, a=PHYSICS_SHAPE.a, b_rm=PHYSICS_SHAPE.b_rm
    )
    fields: dict[str, Any] = {
        "name": name,
        "summary": f"Toy shower generator for {detector}",
        "task": "shower-generation",
        "family": "toy",
        "licence": "Apache-2.0",
        "domain": Domain(
            detector=load_detector(detector), particles=(22,), energy_gev=(1, 100), shape=shape
        ),
        "inputs": (
            TensorSpec(
                name="noise", dtype="float32", shape=(-1, 1), role="noise", distribution="normal"
            ),
            TensorSpec(
                name="energy_gev", dtype="float32", shape=(-1, 1), role="condition", unit="GeV",
                components=("energy_gev",),
            ),
        ),
        "outputs": (
            TensorSpec(
                name="showers", dtype="float32", shape=(-1, *GRID), role="showers", unit="GeV"
            ),
        ),
    }  # fmt: skip
    return Card(**{**fields, **changes})


def generator_folder(
    folder: Path, name: str = "toy", detector: str = "clic-siw", depth: float = 6.0, **changes: Any
) -> Path:
    """A complete version folder of a toy generator."""
    folder.mkdir(parents=True)
    card = generator_card(name, detector, **changes)
    fraction = card.domain.detector.sampling_fraction or 1.0
    onnx.save(generator_onnx(fraction, depth), folder / "model.onnx")
    (folder / "card.yaml").write_text(card_yaml(card), encoding="utf-8")
    write_test_vectors(folder, card)
    return folder


def shower_file(path: Path, n: int = 60, seed: int = 0, depth: float = 6.0) -> Path:
    """A CaloChallenge-like file of 25 x 9 x 9 cells that tells its geometry; toy showers."""
    rng = np.random.default_rng(seed)
    energies = np.exp(rng.uniform(np.log(1e3), np.log(1e5), (n, 1)))
    z = np.arange(25) + 0.5
    y, x = np.mgrid[-4:5, -4:5]
    cell = z[:, None, None] ** 3 * np.exp(-z / depth * 3)[:, None, None] * np.exp(-np.hypot(x, y))
    noise = rng.lognormal(0, 0.1, (n, 1)) * rng.lognormal(0, 0.3, (n, cell.size))
    showers = 0.03 * energies * noise * (cell / cell.sum()).ravel()
    with h5py.File(path, "w") as file:
        file["incident_energies"] = energies
        file["showers"] = showers.astype(np.float32)
        file.attrs.update(
            {"detector": "clic-siw", "pdg": 22, "mesh_shape": [25, 9, 9], "layer_mm": 8.08}
        )
        file.attrs["cell_mm"] = [10.0, 10.0]
    return path


def shower_set(path: Path, **how: Any) -> ShowerSet:
    """The showers of a toy file."""
    from catalog.showers.reader import read_showers

    return read_showers(shower_file(path, **how))
