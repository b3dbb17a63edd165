"""The families: repeatable training, exported graphs, and what the decoder promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from catalog.adapt.family import (  # noqa: E402
    Checkpoint,
    Judge,
    Plan,
    Running,
    Trained,
    TrainingData,
    load_family,
)
from catalog.adapt.recipe import load_recipe  # noqa: E402
from catalog.domain.geometry import Geometry  # noqa: E402
from catalog.errors import BadFile  # noqa: E402
from sample_models import cvae, flow, sums  # noqa: E402
from sample_models.tools import load_weights  # noqa: E402

GEOMETRY = Geometry(0.03, layers=25, layer_x0=1.0, cell_rm=0.23, critical_mev=8.8)
COMMON = {"conditions": ["energy_gev"], "sampling_fraction": 1.0}
CONFIGS: dict[str, dict[str, Any]] = {
    "cvae": {**COMMON, "hidden": 16, "flow": 16, "couplings": 2},
    "flow": {**COMMON, "width": 16, "depth": 2, "heads": 2, "steps": 2},
}
MODULES = {"cvae": cvae.Cvae, "flow": flow.Velocity}


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


def run(name: str, judge: Judge, steps: int = 2, **running: Any) -> Trained:
    start = Checkpoint(name, CONFIGS[name], {})
    plan = Plan(load_recipe("scratch"), steps, seed=3, batch=4)
    return load_family(name).train([toy(name)], start, plan, judge, Running(**running))


def train(name: str, steps: int = 2) -> Checkpoint:
    judge = lambda showers: -float(np.abs(showers).sum())  # noqa: E731  some judge
    return run(name, judge, steps).checkpoint


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
    model = MODULES[name](checkpoint.config)
    load_weights(model, checkpoint.weights)
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
    scores, steps = iter([3.0, 1.0, 2.0, 4.0]), []
    best = run(name, lambda _: next(scores), 3, progress=lambda done, _: steps.append(done))
    scores = iter([3.0, 1.0, 2.0, 4.0])
    worst = run(name, lambda _: -next(scores), 3)
    assert steps == [1, 2, 3]
    assert (best.best, worst.best) == (1, 3)
    assert [judged.score for judged in best.curve] == [3.0, 1.0, 2.0, 4.0]
    a, b = best.checkpoint.weights, worst.checkpoint.weights
    assert any(not np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_parameter_belongs_to_a_known_part(name: str) -> None:
    family = load_family(name)
    for parameter in train(name, steps=1).weights:
        assert family.part_of(parameter).partition(".")[0] in {
            "embedder", "backbone", "head", "critic",
        }, parameter  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_the_part_of_every_head_is_found(name: str) -> None:
    parts = {load_family(name).part_of(key) for key in train(name, steps=1).weights}
    assert "head" in parts
    assert any(part.startswith("backbone") for part in parts)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_scorer_prefers_showers_of_its_own_kind(name: str, tmp_path: Path) -> None:
    """Also where full simulation has no hits at all, and for any number of showers at once."""
    checkpoint, data = train(name, steps=30), toy(name)
    family = load_family(name)
    inputs, outputs = family.export_scorer(checkpoint, tmp_path / family.scorer)
    session = ort.InferenceSession(tmp_path / family.scorer, providers=["CPUExecutionProvider"])
    gev = data.incident_gev[:, None].astype(np.float32)

    def score(showers: Any) -> Any:
        feed = {"showers": np.ascontiguousarray(showers), "energy_gev": gev[: len(showers)]}
        return session.run([outputs[0].name], feed)[0]

    assert [spec.name for spec in inputs] == ["showers", "energy_gev"]
    own = score(data.showers)
    assert own.shape == (12,)
    assert own.mean() > score(data.showers[:, ::-1]).mean()
    np.testing.assert_allclose(score(data.showers[:3]), own[:3], rtol=1e-3)
    assert np.isfinite(score(np.zeros_like(data.showers))).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_are_kept_in_half_precision_without_changing_the_result(name: str) -> None:
    weights = train(name, steps=1).weights
    large = [value for value in weights.values() if value.size >= 256]
    assert large
    assert all(value.dtype == np.float16 for value in large)


def showers(n: int = 6) -> Any:
    rng = np.random.default_rng(2)
    return torch.tensor(rng.exponential(1e-3, (n, *sums.PHYSICS_SHAPE.size)), dtype=torch.float32)


def test_decoded_showers_have_the_sums_of_their_code() -> None:
    """The last scaling is per layer, so layer sums are exact."""
    shares = showers()
    t = sums.log_sums(shares)
    fitted = sums.fit_sums(torch.rand(shares.shape) + 0.1, t)
    torch.testing.assert_close(fitted.sum((2, 3)), shares.sum((2, 3)), rtol=2e-3, atol=1e-5)
    torch.testing.assert_close(fitted.sum((1, 2)), shares.sum((1, 2)), rtol=2e-2, atol=1e-4)


def test_tokens_hold_the_whole_shower() -> None:
    shares, ln_e = showers(), torch.linspace(-1, 1, 6)
    own = flow.statistics(shares, ln_e)[None]
    x = flow.to_tokens(shares, ln_e, own, torch.full((6, sums.VOXELS), 0.5), 0.0)
    assert x.shape == (6, flow.TOKENS, flow.FEATURES)
    back = flow.from_tokens(x, ln_e, own)
    torch.testing.assert_close(back, shares, rtol=2e-2, atol=2 * sums.HIT)


def test_lines_are_those_of_a_least_squares_fit_and_survive_equal_energies() -> None:
    rng = np.random.default_rng(0)
    ln_e = torch.tensor(rng.normal(size=4000), dtype=torch.float32)
    noise = torch.tensor(rng.normal(size=(4000, 2)), dtype=torch.float32)
    values = torch.stack([3 - 2 * ln_e, 1 + 0.5 * ln_e], 1) + noise * torch.tensor([0.1, 1.0])
    mean, slope, spread = sums.lines(values, ln_e)
    torch.testing.assert_close(mean, torch.tensor([3.0, 1.0]), atol=0.06, rtol=0)
    torch.testing.assert_close(slope, torch.tensor([-2.0, 0.5]), atol=0.06, rtol=0)
    torch.testing.assert_close(spread, torch.tensor([0.11, 1.01]), atol=0.06, rtol=0)
    back = sums.restore(
        sums.standardise(values, ln_e, sums.lines(values, ln_e)[None]), ln_e,
        sums.lines(values, ln_e)[None],
    )  # fmt: skip
    torch.testing.assert_close(back, values, atol=1e-4, rtol=1e-4)
    flat = sums.lines(values, torch.ones(4000))
    assert torch.isfinite(flat).all()
    assert flat[1].abs().max() == 0


def test_the_flow_of_the_prior_is_invertible() -> None:
    coupling = cvae.Coupling(1, 8, seed=0)
    torch.nn.init.normal_(coupling.net[-1].weight, std=0.3)
    t, c = torch.randn(4, sums.SUMS), torch.randn(4, 1)
    noise, _ = coupling.to_noise(t, c)
    torch.testing.assert_close(coupling.to_code(noise, c), t)
