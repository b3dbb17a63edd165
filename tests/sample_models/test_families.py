"""The families: repeatable training, exported graphs, and what the decoder promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from catalog.adapt.family import Checkpoint, Plan, TrainingData, load_family  # noqa: E402
from catalog.domain.geometry import Geometry  # noqa: E402
from catalog.errors import BadFile  # noqa: E402
from sample_models import cvae, gan3d  # noqa: E402
from sample_models.tools import load_weights  # noqa: E402

GEOMETRY = Geometry(0.03, layers=25, layer_x0=1.0, cell_rm=0.23, critical_mev=8.8)
CONFIGS: dict[str, dict[str, Any]] = {
    "cvae": cvae.fresh_config((11,)),
    "3dgan": gan3d.native_config(8.92, 21.6, 9.2, 5.0) | {"channels": 8},
}


def toy(name: str, n: int = 12) -> TrainingData:
    """Smooth positive showers on the family's mesh: enough to train a few steps on."""
    size = load_family(name).shape(CONFIGS[name]).size
    rng = np.random.default_rng(0)
    gev = rng.uniform(1, 100, n)
    raw = rng.exponential(1, (n, *size)) * np.exp(-np.arange(size[0]) / 5)[None, :, None, None]
    showers = raw / raw.sum((1, 2, 3), keepdims=True) * gev[:, None, None, None] * 0.03
    return TrainingData(
        showers.astype(np.float32), gev, np.zeros(n), 11, GEOMETRY,
        judge_gev=np.array([5.0, 50.0]), judge_theta_rad=np.zeros(2),
    )  # fmt: skip


def nothing(*_: int) -> None:
    pass


def train(name: str, steps: int = 2, **plan: Any) -> Checkpoint:
    start = Checkpoint(name, CONFIGS[name], {})
    judge = lambda showers: -float(np.abs(showers).sum())  # noqa: E731  some judge
    made = Plan(**({"strategy": "scratch", "steps": steps, "seed": 3, "batch": 4} | plan))
    return load_family(name).train([toy(name)], start, made, judge, nothing)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_twice_gives_the_same_bits(name: str) -> None:
    first, second = train(name), train(name)
    for key, value in first.weights.items():
        assert np.array_equal(value, second.weights[key]), key


@pytest.mark.parametrize("name", CONFIGS)
def test_training_leaves_torch_as_it_was(name: str) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(name, steps=1)
    assert torch.equal(torch.rand(3), expected)
    assert before == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())


@pytest.mark.parametrize("name", CONFIGS)
def test_the_exported_graph_equals_the_torch_model(name: str, tmp_path: Path) -> None:
    checkpoint = train(name)
    inputs, outputs = load_family(name).export(checkpoint, tmp_path / "m.onnx")
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(5, *inputs[0].shape[1:])).astype(np.float32)
    gev = rng.uniform(1, 100, (5, 1)).astype(np.float32)
    session = ort.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    found = session.run([outputs[0].name], {"noise": noise, "energy_gev": gev})[0]
    if name == "cvae":
        model = cvae.Cvae(checkpoint.config)
        load_weights(model, checkpoint.weights)
    else:
        both = gan3d.Gan3d(checkpoint.config)
        load_weights(both, checkpoint.weights)
        model = both.generator
    with torch.no_grad():
        wanted = model(torch.tensor(noise), torch.tensor(gev)).numpy()
    assert found.shape == (5, *outputs[0].shape[1:])
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * wanted.max())


@pytest.mark.parametrize("name", CONFIGS)
def test_exporting_twice_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    checkpoint = train(name, steps=1)
    for file in ("a.onnx", "b.onnx"):
        load_family(name).export(checkpoint, tmp_path / file)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_weights_that_do_not_fit_are_refused(name: str, damage: str, tmp_path: Path) -> None:
    good = train(name, steps=1)
    weights = dict(good.weights)
    key = next(iter(weights))
    if damage == "missing":
        del weights[key]
    elif damage == "shape":
        weights[key] = np.zeros((1, 2, 3), np.float32)
    else:
        weights[key] = np.full_like(weights[key], np.nan)
    with pytest.raises(BadFile, match=key):
        load_family(name).export(Checkpoint(name, good.config, weights), tmp_path / "m.onnx")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_best_judged_step_is_returned(name: str) -> None:
    scores = iter([3.0, 1.0, 2.0, 4.0])
    start = Checkpoint(name, CONFIGS[name], {})
    best_of = load_family(name).train(
        [toy(name)], start, Plan("scratch", 3, 3, 4), lambda _: next(scores), nothing
    )
    steps_done = []
    scores = iter([3.0, 1.0, 2.0, 4.0])
    other = load_family(name).train(
        [toy(name)], start, Plan("scratch", 3, 3, 4), lambda _: -next(scores),
        lambda done, _: steps_done.append(done),
    )  # fmt: skip
    assert steps_done == [1, 2, 3]
    assert any(not np.array_equal(best_of.weights[k], other.weights[k]) for k in other.weights)


def test_decoded_showers_have_the_layer_sums_of_their_code() -> None:
    """The last scaling is per layer, so layer sums are exact."""
    rng = np.random.default_rng(2)
    shares = torch.tensor(rng.exponential(1e-3, (6, *cvae.PHYSICS_SHAPE.size)), dtype=torch.float32)
    t = cvae.code(shares)
    fitted = cvae._fit(torch.rand(shares.shape) + 0.1, t)
    torch.testing.assert_close(fitted.sum((2, 3)), shares.sum((2, 3)), rtol=2e-3, atol=1e-5)
    torch.testing.assert_close(fitted.sum((1, 2)), shares.sum((1, 2)), rtol=2e-2, atol=1e-4)


def test_the_flow_of_the_prior_is_invertible() -> None:
    coupling = cvae.Coupling(1, 8, seed=0)
    torch.nn.init.normal_(coupling.net[-1].weight, std=0.3)
    t, c = torch.randn(4, cvae.CODE), torch.randn(4, 1)
    noise, _ = coupling.to_noise(t, c)
    torch.testing.assert_close(coupling.to_code(noise, c), t)
