"""Three models of fixed seed: a tagger, a large answer for little work, and a 3-D generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from catalog.card import Card, card_yaml
from catalog.domain import Domain, TensorSpec, load_detector
from catalog.testvectors import write_test_vectors

SEED = 0


class Graph:
    """Nodes and weights, each layer after the one before; weights keep the signal's size."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.last = "x"
        self._rng = np.random.default_rng(SEED)

    def add(self, kind: str, *more: str, **attributes: object) -> str:
        """Put a node behind the last one; gives the name of its output."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *more], [name], **attributes))
        self.last = name
        return name

    def constant(self, array: np.ndarray) -> str:
        """Keep an array; gives its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def random(self, *shape: int, fan: int) -> str:
        """Keep normal weights of spread sqrt(2 / fan)."""
        values = self._rng.normal(size=shape) * np.sqrt(2 / fan)
        return self.constant(values.astype(np.float32))

    def dense(self, before: int, after: int) -> None:
        """A dense layer."""
        self.add("Gemm", self.random(before, after, fan=before), self.random(after, fan=after))

    def reshape(self, *shape: int) -> str:
        """Another shape; -1 is the batch."""
        return self.add("Reshape", self.constant(np.array(shape, np.int64)))


def mlp(graph: Graph) -> None:
    """32 -> 128 -> 128 -> 4, softmax."""
    for before, after in ((32, 128), (128, 128)):
        graph.dense(before, after)
        graph.add("Relu")
    graph.dense(128, 4)
    graph.add("Softmax", axis=1)


def lite25(graph: Graph) -> None:
    """256 -> three profiles of 25 -> their outer product: 62.5 kB for hardly any work."""
    start, axes = graph.last, []
    for shape in ((-1, 25, 1, 1), (-1, 1, 25, 1), (-1, 1, 1, 25)):
        graph.last = start
        graph.dense(256, 25)
        axes.append(graph.reshape(*shape))
    graph.last = axes[0]
    graph.add("Mul", axes[1])
    graph.add("Mul", axes[2])


def gen3d(graph: Graph) -> None:
    """Latent 256 -> 7^3 -> 14^3 -> 28^3 -> 25^3, 5.8 million weights, as a 3DGAN has them."""
    graph.dense(256, 64 * 7**3)
    graph.reshape(-1, 64, 7, 7, 7)
    for before, after in ((64, 32), (32, 16)):
        _normalise(graph, before)
        weight = graph.random(before, after, 4, 4, 4, fan=8 * before)
        graph.add("ConvTranspose", weight, strides=[2] * 3, pads=[1] * 6)
    _normalise(graph, 16)
    graph.add("Conv", graph.random(8, 16, 4, 4, 4, fan=64 * 16))
    graph.add("Relu")
    graph.add("Conv", graph.random(1, 8, 3, 3, 3, fan=27 * 8), pads=[1] * 6)
    graph.add("Relu")
    graph.reshape(-1, 25, 25, 25)


def _normalise(graph: Graph, channels: int) -> None:
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    graph.add("BatchNormalization", *(graph.constant(it) for it in (one, zero, zero, one)))
    graph.add("Relu")


@dataclass(frozen=True)
class Model:
    """`input` numbers in and `output` out, each float32; no physics is meant."""

    name: str
    input: int
    output: tuple[int, ...]
    build: Callable[[Graph], None]

    def rows(self, count: int) -> np.ndarray:
        """Inputs, the same each time."""
        shape = (count, self.input)
        return np.random.default_rng(SEED + 1).normal(size=shape).astype(np.float32)

    def write(self, folder: Path) -> Path:
        """Make a version folder that can be published; gives it."""
        folder.mkdir(parents=True)
        graph = Graph()
        self.build(graph)
        graph.nodes[-1].output[0] = "y"
        inputs = [_info("x", self.input)]
        made = helper.make_graph(
            graph.nodes, self.name, inputs, [_info("y", *self.output)], graph.weights
        )
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(made, opset_imports=opset, ir_version=8), folder / "model.onnx")
        card = self._card()
        (folder / "card.yaml").write_text(card_yaml(card), encoding="utf-8")
        write_test_vectors(folder, card)
        return folder

    def _card(self) -> Card:
        domain = Domain(detector=load_detector("clic-siw"), particles=(22,), energy_gev=(1, 100))
        x = TensorSpec(name="x", dtype="float32", shape=(-1, self.input), role="features")
        y = TensorSpec(name="y", dtype="float32", shape=(-1, *self.output), role="prediction")
        return Card(
            name=self.name, summary=f"Random weights, to be timed: {self.build.__doc__}",
            task="other", licence="Apache-2.0", domain=domain, inputs=(x,), outputs=(y,),
        )  # fmt: skip


def _info(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


CUBE = (25, 25, 25)
MODELS = {
    "mlp": Model("mlp", 32, (4,), mlp),
    "lite25": Model("lite25", 256, CUBE, lite25),
    "gen3d": Model("gen3d", 256, CUBE, gen3d),
}
