"""3DGAN learns as its reference does, ends where it has failed, and repeats to the bit on a CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from catalog.adapt.family import (  # noqa: E402
    Checkpoint,
    Plan,
    Running,
    Trained,
    TrainingData,
    read_checkpoint,
)
from catalog.adapt.recipe import Recipe  # noqa: E402
from catalog.adapt.version import export_version  # noqa: E402
from catalog.domain import load_detector  # noqa: E402
from catalog.domain.geometry import Geometry  # noqa: E402
from catalog.errors import CatalogError, UsageError  # noqa: E402
from catalog.showers.reader import read_showers  # noqa: E402
from catalog.simulate.beam import draw_beam  # noqa: E402
from catalog.simulate.readout import readout_mesh  # noqa: E402
from catalog.simulate.run import simulate  # noqa: E402
from sample_models.batches import lone_draw  # noqa: E402
from sample_models.gan3d import FAMILY, Gan3d, __main__, native_config  # noqa: E402
from sample_models.gan3d.networks import measured_angle  # noqa: E402
from sample_models.gan3d.run import flops  # noqa: E402
from sample_models.gan3d.simulated import Simulation, many_showers  # noqa: E402
from sample_models.gan3d.training import check_alive, percent, turned  # noqa: E402
from sample_models.tools import weights_of  # noqa: E402

FRACTION = 0.03
GEOMETRY = Geometry(FRACTION, layers=25, layer_x0=1.0, cell_rm=0.23, critical_mev=8.8)
# Few filters, so that a step takes a second; the layers are those of the reference.
SMALL = {"generator_filters": [4, 2, 2], "discriminator_filters": [2, 2, 2, 2]}
CONFIG = native_config(8.92, 21.6, 9.2, 5.0) | SMALL
CPU = torch.device("cpu")


def toy(n: int = 8, cells: int = 25, theta: float = 0.0) -> TrainingData:
    """Smooth positive showers: enough to train a few steps on."""
    rng = np.random.default_rng(0)
    gev = rng.uniform(1, 100, n)
    depth = np.exp(-np.arange(25) / 5)[None, :, None, None]
    raw = rng.exponential(1, (n, 25, cells, cells)) * depth
    showers = raw / raw.sum((1, 2, 3), keepdims=True) * gev[:, None, None, None] * FRACTION
    return TrainingData(
        showers.astype(np.float32), gev, np.full(n, theta), 11, GEOMETRY,
        judge_gev=np.array([5.0, 50.0]), judge_theta_rad=np.full(2, theta),
    )  # fmt: skip


def train(
    data: TrainingData, steps: int = 1, start: Checkpoint | None = None, **recipe: Any
) -> Trained:
    strategy = "full" if start else "scratch"
    plan = Plan(Recipe(name="test", **({"strategy": strategy} | recipe)), steps, seed=3, batch=2)
    judged = iter(range(1000, 0, -1))  # always the last step
    begin = start or Checkpoint("3dgan", CONFIG, {})
    return FAMILY.train([data], begin, plan, lambda _: next(judged), Running())


def fresh() -> Checkpoint:
    torch.manual_seed(5)
    return Checkpoint("3dgan", CONFIG, weights_of(Gan3d(CONFIG)))


def moved(before: Checkpoint, after: Checkpoint) -> set[str]:
    """Networks or blocks of which a weight is no longer the same (but for its rounding)."""
    return {
        name.rpartition(".")[0]
        for name, value in before.weights.items()
        if not np.allclose(value, after.weights[name], rtol=1e-3, atol=1e-5)
    }


def test_a_step_changes_every_layer_of_both_networks() -> None:
    start = fresh()
    names = moved(start, train(toy(), start=start).checkpoint)
    convolutions = {f"generator.blocks.{k}.conv" for k in range(3)}
    convolutions |= {f"discriminator.blocks.{k}.conv" for k in range(4)}
    assert convolutions <= names
    assert {"generator.dense", "generator.last", "discriminator.auxiliary"} <= names


def test_a_frozen_block_of_the_discriminator_stays() -> None:
    start = fresh()
    names = moved(start, train(toy(), start=start, freeze_discriminator=2).checkpoint)
    assert not {name for name in names if name.startswith("discriminator.blocks.0")}
    assert "discriminator.blocks.1.conv" not in names
    assert {"discriminator.blocks.2.conv", "generator.dense"} <= names


def test_training_twice_gives_the_same_bits() -> None:
    one, two = (train(toy(), 2, augment=0.5, ema=0.9).checkpoint for _ in range(2))
    assert one.config == two.config
    for name, value in one.weights.items():
        assert np.array_equal(value, two.weights[name]), name


def test_the_sum_of_energies_is_calibrated_to_the_detector() -> None:
    """Every toy shower leaves its energy, but for cells below threshold: gain times 100 GeV."""
    config = train(toy()).checkpoint.config
    assert config["sampling_fraction"] == FRACTION
    assert np.polyval(config["sum_fit"], 0.5) == pytest.approx(200, rel=0.02)


def test_a_training_on_broken_showers_is_refused() -> None:
    data = toy()
    data.showers[:] = np.nan
    with pytest.raises(CatalogError, match="not finite after 1 steps"):
        train(data)


def test_a_version_of_a_gan_has_its_critic(tmp_path: Path) -> None:
    detector = load_detector("pbwo4-block")
    showers = simulate(detector, readout_mesh(detector, 25), draw_beam(11, 4, (1, 100)))
    export_version(tmp_path, FAMILY, fresh(), showers)
    assert (tmp_path / "critic.onnx").is_file()


def test_showers_of_too_little_energy_are_refused_in_words() -> None:
    data = toy()
    data.showers[:] *= 1e-3
    with pytest.raises(UsageError, match="at least 5 GeV"):
        train(data)


def test_a_training_of_empty_showers_is_refused() -> None:
    """A generator whose last layer gives only negative numbers is dead: nothing moves it again."""
    start = fresh()
    dead = dict(start.weights) | {
        "generator.last.weight": -np.abs(start.weights["generator.last.weight"]) * 0 - 1e-6
    }
    dead["generator.blocks.2.conv.bias"] = np.full_like(dead["generator.blocks.2.conv.bias"], 1e3)
    with pytest.raises(CatalogError, match="only empty showers after 12 steps"):
        train(toy(), 14, start=Checkpoint("3dgan", CONFIG, dead), backbone_lr=1e-9)


def test_empty_showers_are_forgiven_in_the_first_batches_only() -> None:
    check_alive(10, {"sum": 100.0}, lit=False)
    check_alive(11, {"sum": 99.0}, lit=True)
    with pytest.raises(CatalogError, match="only empty showers") as caught:
        check_alive(11, {"sum": 100.0}, lit=False)
    assert "smaller rate" in caught.value.hint


def test_percentages_are_those_of_keras() -> None:
    found = percent(torch.tensor([1.1, 4.0, 1.0]), torch.tensor([1.0, 5.0, 0.0]))
    assert float(found) == pytest.approx((10 + 20 + 100 / 1e-7) / 3)


def test_the_first_step_of_the_optimiser_is_that_of_keras() -> None:
    """v = 0.1 g^2, so that a weight moves by lr / sqrt(0.1), whatever its gradient."""
    from sample_models.gan3d.training import _RMSPROP

    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimiser = _RMSPROP([weight], lr=1e-3)
    (weight * torch.tensor([3.0, -0.2])).sum().backward()
    optimiser.step()
    step = 1e-3 / np.sqrt(0.1)
    assert weight.detach().tolist() == pytest.approx([1 - step, 2 + step], rel=1e-5)


def test_turning_keeps_the_energy_of_every_layer() -> None:
    image, seen = torch.rand(2, 5, 5, 3), set()
    draw = lone_draw(1, 2, CPU)
    for _ in range(40):
        other = turned(image, draw, 1.0, along_axis=True)
        torch.testing.assert_close(other.sum((1, 2)), image.sum((1, 2)))
        seen.add(tuple(other[0, 0, 0].tolist()))
    assert len(seen) == 4, "four corners, each reached by two of the eight symmetries"


def test_a_tilted_shower_keeps_its_angle_when_mirrored() -> None:
    image, draw = torch.rand(2, 9, 9, 5), lone_draw(1, 2, CPU)
    others = [turned(image, draw, 1.0, along_axis=False) for _ in range(20)]
    assert any(torch.equal(other, image.flip(1)) for other in others)
    for other in others:
        torch.testing.assert_close(measured_angle(other), measured_angle(image))


def test_without_augmentation_nothing_is_turned() -> None:
    image = torch.rand(2, 5, 5, 3)
    assert turned(image, lone_draw(1, 2, CPU), 0.0, along_axis=True) is image


def test_the_version_follows_from_the_showers() -> None:
    detector = load_detector("pbwo4-block")
    straight = simulate(detector, readout_mesh(detector, 25), draw_beam(11, 2, (5, 5)))
    tilted = simulate(
        detector, readout_mesh(detector, 51), draw_beam(11, 2, (5, 5), theta_rad=(0.3, 0.3))
    )
    fixed, angle = FAMILY.fresh([straight]), FAMILY.fresh([tilted])
    assert FAMILY.shape(fixed).size == (25, 25, 25)
    assert FAMILY.shape(angle).size == (25, 51, 51)
    assert angle["conditions"] == ["energy_gev", "theta_rad"]
    np.testing.assert_allclose(straight.on(FAMILY.shape(fixed)).ravel(), straight.energies.ravel(),
                               rtol=1e-4, atol=1e-7)  # fmt: skip


def test_a_tilted_shower_is_measured_at_its_angle() -> None:
    """Orientation and sign: ours is the angle to the axis, towards x; theirs is pi/2 minus it.

    The layer that holds the barycentre measures nothing and pulls towards pi/2.
    """
    detector, theta = load_detector("pbwo4-block"), 0.3
    mesh = readout_mesh(detector, 51)
    showers = simulate(detector, mesh, draw_beam(11, 20, (50, 50), theta_rad=(theta, theta)))
    config = FAMILY.fresh([showers])
    from sample_models.gan3d.model import linear_images, to_image

    cells = showers.energies.reshape(-1, 25, 51, 51)
    image = to_image(torch.tensor(linear_images(cells, 1.0, config)), 1)
    slope = torch.tan(torch.pi / 2 - measured_angle(image)).mean()  # in cells of 5 and 9.2 mm
    assert float(slope) * 5.0 / 9.2 == pytest.approx(np.tan(theta), rel=0.25)


def test_many_showers_are_those_of_the_simulation() -> None:
    detector = load_detector("pbwo4-block")
    mesh, beam = readout_mesh(detector, 25), draw_beam(11, 5, (1, 100))
    wanted = simulate(detector, mesh, beam, seed=4).energies
    wanted[wanted < 1e-4] = 0
    found = many_showers(Simulation(detector, mesh, 1e-4, 2.0), beam, seed=4)
    assert found.shape == (5, 25, 25, 25)
    np.testing.assert_allclose(found.reshape(5, -1) / 2, wanted, rtol=1e-3, atol=1e-6)


def test_operations_are_counted_by_hand() -> None:
    """A network with one filter everywhere, and nothing but its convolutions and dense layers."""
    config = CONFIG | {"generator_filters": [1, 1, 1], "discriminator_filters": [1, 1, 1, 1]}
    generator = 200 * 3136 + 392 * 8 * 288 + 1638 * 240 + 26**3 * 72 + 25**3 * 8
    discriminator = 3 * 25**3 * 125 + 23**3 * 125 + 2 * 11**3
    assert flops(config) == 2 * (7 * generator + 10 * discriminator)


@pytest.mark.slow
def test_the_variable_angle_version_learns_at_full_size() -> None:
    config = native_config(8.92, 21.6, 9.2, 5.0, "angle")
    torch.manual_seed(5)
    start = Checkpoint("3dgan", config, weights_of(Gan3d(config)))
    after = train(toy(4, 51, 0.3), start=start).checkpoint
    assert {"generator.blocks.0.conv", "discriminator.blocks.3.conv"} <= moved(start, after)


@pytest.mark.slow
def test_after_a_short_training_the_critic_ranks_showers_above_noise(tmp_path: Path) -> None:
    showers = read_showers(Path(__main__.__file__).parents[1] / "data/pbwo4-electron.h5", limit=80)
    config = FAMILY.fresh([showers]) | SMALL
    cells = showers.on(FAMILY.shape(config))
    data = TrainingData(
        cells[:60], showers.incident_gev[:60], np.zeros(60), 11,
        Geometry(1.0, 25, 1.0, 0.23, 8.8), np.array([10.0]), np.zeros(1),
    )  # fmt: skip
    plan = Plan(Recipe(name="test", strategy="scratch"), 60, seed=1, batch=8)
    judged = iter(range(1000, 0, -1))
    made = FAMILY.train(
        [data], Checkpoint("3dgan", config, {}), plan, lambda _: next(judged), Running()
    )
    FAMILY.export_scorer(made.checkpoint, tmp_path / "critic.onnx")
    session = ort.InferenceSession(tmp_path / "critic.onnx", providers=["CPUExecutionProvider"])
    shuffled = np.random.default_rng(0).permuted(cells[60:].reshape(20, -1), axis=1)
    noise = shuffled.reshape(20, 25, 25, 25)
    real, fake = (session.run(["score"], {"showers": x})[0] for x in (cells[60:], noise))
    assert (real > fake).mean() > 0.9


@pytest.mark.slow
def test_one_command_trains_on_simulated_and_on_full_showers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(__main__.__file__).parents[1] / "data/pbwo4-electron.h5"
    words = (
        f"gan3d --version fixed --simulate pbwo4-block --showers 40 --minutes 0.01 --data {data}"
    )
    words += f" --tune-minutes 0.01 --batch 2 --augment 0.5 --out {tmp_path}"
    monkeypatch.setattr(sys, "argv", words.split())
    assert __main__.main() == 0
    told = capsys.readouterr().out
    assert "showers/s" in told
    assert "tflops" in told
    assert read_checkpoint(tmp_path / "checkpoint.safetensors").family == "3dgan"
    assert {"model.onnx", "critic.onnx", "run.json"} <= {path.name for path in tmp_path.iterdir()}


def test_a_start_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from catalog.adapt.family import write_checkpoint

    write_checkpoint(fresh(), tmp_path / "c.safetensors")
    words = f"gan3d --version angle --start {tmp_path / 'c.safetensors'} --out {tmp_path}"
    monkeypatch.setattr(sys, "argv", words.split())
    assert __main__.main() == 1
    assert "no checkpoint of 3dgan, version angle" in capsys.readouterr().err
