"""3DGAN: the layers of the reference, what its images mean, and what is exported."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from catalog.adapt.family import Checkpoint, read_checkpoint, write_checkpoint  # noqa: E402
from catalog.errors import BadFile  # noqa: E402
from catalog.onnx_file import read_onnx  # noqa: E402
from sample_models.gan3d import FAMILY, Gan3d, native_config  # noqa: E402
from sample_models.gan3d import model as images  # noqa: E402
from sample_models.gan3d.model import Critic, Sampler, rebuild  # noqa: E402
from sample_models.gan3d.networks import (  # noqa: E402
    ANGLE,
    ARCHITECTURES,
    FIXED,
    Discriminator,
    Generator,
    architecture,
    keras_parameters,
    measured_angle,
    pad_same,
)
from sample_models.half import rounded  # noqa: E402
from sample_models.tools import weights_of  # noqa: E402

VERSIONS = ("fixed", "angle", "small")
SMALL = architecture({"version": "fixed", "discriminator_filters": [2, 2, 2, 2]})


def config(version: str = "fixed", **more: Any) -> dict[str, Any]:
    return native_config(8.92, 21.6, 9.2, 5.0, version) | more


def checkpoint(version: str, **more: Any) -> Checkpoint:
    """An untrained model as it is stored, with moving statistics of its own."""
    torch.manual_seed(1)
    model = Gan3d(config(version))
    for name, value in model.named_buffers():
        value.uniform_(0.5, 1.5) if "variance" in name else value.normal_(0, 0.1)
    return rounded(Checkpoint("3dgan", config(version, **more), weights_of(model)))


# As `summary()` of Keras counts; the discriminator of fixed angle by hand: 32 (125 + 1) +
# 8 (4000 + 1) + 2 x 8 (1000 + 1) + 3 x 4 x 8 + 2 (8 x 11^3 + 1).
@pytest.mark.parametrize(
    ("arch", "generator", "discriminator"), [(FIXED, 872_948, 73_450), (ANGLE, 1_365_047, 87_402)]
)
def test_networks_have_as_many_parameters_as_in_keras(
    arch: Any, generator: int, discriminator: int
) -> None:
    assert keras_parameters(Generator(arch)) == generator
    assert keras_parameters(Discriminator(arch)) == discriminator


def sizes(network: Any, given: Any) -> list[tuple[int, ...]]:
    """(channels, x, y, z) after every convolution."""
    found: list[tuple[int, ...]] = []
    for block in network.blocks:
        block.register_forward_hook(lambda _m, _i, out: found.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network.eval()(given)
    return found


def test_the_variable_angle_generator_passes_the_sizes_of_the_reference() -> None:
    assert sizes(Generator(ANGLE), torch.zeros(1, 256)) == [
        (8, 49, 49, 41), (6, 50, 50, 38), (6, 51, 51, 35), (6, 52, 52, 32), (6, 52, 52, 28),
        (6, 52, 52, 26),
    ]  # fmt: skip


def test_the_fixed_angle_generator_passes_the_sizes_of_the_reference() -> None:
    passed = sizes(Generator(FIXED), torch.zeros(1, 200))
    assert passed == [(64, 7, 7, 8), (6, 13, 14, 9), (6, 26, 26, 26)]


def test_the_discriminators_pass_the_sizes_of_the_reference() -> None:
    assert sizes(Discriminator(ANGLE), torch.zeros(1, 51, 51, 25)) == [
        (16, 51, 51, 25), (8, 47, 46, 22), (8, 43, 41, 19), (8, 39, 36, 14),
    ]  # fmt: skip
    assert sizes(Discriminator(FIXED), torch.zeros(1, 25, 25, 25)) == [
        (32, 25, 25, 25), (8, 25, 25, 25), (8, 25, 25, 25), (8, 23, 23, 23),
    ]  # fmt: skip


def test_same_padding_puts_the_odd_cell_behind() -> None:
    """By hand: [1 2 3] padded for a kernel of four is [0 1 2 3 0 0]; windows sum to 6, 6, 5."""
    row = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 1, 3)
    padded = pad_same(row, (1, 1, 4))
    assert padded.flatten().tolist() == [0, 1, 2, 3, 0, 0]
    assert padded.unfold(4, 4, 1).sum(-1).flatten().tolist() == [6, 6, 5]
    assert pad_same(torch.zeros(1, 1, 7, 7, 8), (6, 6, 8)).shape[2:] == (12, 12, 15)


def test_the_dense_layer_is_reshaped_with_channels_last() -> None:
    generator, seen = Generator(FIXED).eval(), []
    with torch.no_grad():
        generator.dense.weight.zero_()
        generator.dense.bias.copy_(torch.arange(7 * 7 * 8 * 8))
    generator.blocks[0].register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    generator(torch.zeros(1, 200))
    x, y, z, channel = 3, 5, 2, 6
    assert seen[0][0, channel, x, y, z] == ((x * 7 + y) * 8 + z) * 8 + channel


def test_convolutions_start_as_keras_starts_them() -> None:
    torch.manual_seed(0)
    generator = Generator(FIXED)
    first, last = generator.blocks[1].conv, generator.last
    limit = math.sqrt(6 / (64 * 6 * 5 * 8))  # he_uniform, 64 channels through 6 x 5 x 8
    assert 0.99 * limit < float(first.weight.detach().abs().max()) <= limit
    assert float(last.weight.detach().abs().max()) <= 2 * math.sqrt(2 / (48 + 8)) / 0.8796
    assert last.bias is None
    assert not any(block.conv.bias.any() for block in generator.blocks)
    scaled = Discriminator(ANGLE).blocks[1].conv.weight
    assert float(scaled.detach().std()) == pytest.approx(1 / math.sqrt(16 * 180), rel=0.03)


def test_while_training_a_score_depends_on_the_batch_and_afterwards_it_does_not() -> None:
    torch.manual_seed(0)
    judge, batch = Discriminator(SMALL), torch.rand(3, 25, 25, 25)
    with torch.no_grad():
        judge.eval()
        torch.testing.assert_close(judge(batch)[0][:1], judge(batch[:1])[0])
        for block in judge.blocks[1:]:
            block.norm.train()
        assert not torch.allclose(judge(batch)[0][:1], judge(batch[:1])[0])


def test_only_real_showers_move_the_statistics_of_the_discriminator() -> None:
    judge, batch = Discriminator(SMALL), torch.rand(2, 25, 25, 25)
    norm = judge.blocks[1].norm
    judge(batch, real=False)
    assert not norm.mean.any()
    judge(batch, real=True)
    assert norm.mean.any()


def track(theta: float, layers: range, cells: int = 51) -> Any:
    """A straight track, `theta` from z towards y: every layer's barycentre lies exactly on it."""
    image = torch.zeros(1, cells, cells, 25, dtype=torch.float64)
    for z in layers:
        y = cells / 2 + (z + 0.5 - 8.0) * math.tan(theta) - 0.5
        low, share = int(y), y - int(y)
        energy = 1.0 + z % 3
        image[0, cells // 2, low, z] += energy * (1 - share)
        image[0, cells // 2, low + 1, z] += energy * share
    return image


@pytest.mark.parametrize("theta", [-0.5, -0.2, 0.1, 0.3, 0.52])
def test_a_straight_track_has_its_own_angle(theta: float) -> None:
    image = track(theta, range(2, 22))
    assert float(measured_angle(image)[0]) == pytest.approx(math.pi / 2 - theta, abs=1e-4)


def test_a_track_is_measured_wherever_it_lies_and_whatever_its_energy() -> None:
    image = track(0.3, range(2, 22))
    for other in (3.7 * image, image.roll(4, 1), image.roll(-3, 2), image.flip(1)):
        torch.testing.assert_close(measured_angle(other), measured_angle(image))
    mirrored = measured_angle(image.flip(2))
    torch.testing.assert_close(mirrored, math.pi - measured_angle(image))


def test_an_empty_image_has_the_angle_100_and_finite_gradients() -> None:
    image = torch.zeros(2, 51, 51, 25)
    image[1] = track(0.2, range(5, 9))[0].float()
    image.requires_grad_(True)
    angle = measured_angle(image)
    assert float(angle[0].detach()) == 100
    angle.sum().backward()
    assert torch.isfinite(image.grad).all()


@pytest.mark.parametrize("version", VERSIONS)
def test_images_give_back_the_showers(version: str) -> None:
    own, rng = config(version, sampling_fraction=0.03), np.random.default_rng(0)
    cells = FAMILY.shape(own).size
    showers = rng.exponential(1e-2, (2, *cells)).astype(np.float32)
    linear = images.linear_images(showers, 0.03, own)
    image = images.to_image(torch.tensor(linear), own["power"])
    assert image.shape[1:] == ARCHITECTURES[version].image
    back = images.from_image(image, own["power"]).permute(0, 3, 1, 2) * (0.03 / own["gain"])
    small = own["threshold"] * 0.03 / own["gain"]
    kept = np.where(showers >= small, showers, 0)
    np.testing.assert_allclose(back.numpy(), kept, rtol=1e-5, atol=1e-9)


def test_an_image_is_that_of_the_reference_in_its_own_calorimeter() -> None:
    """CLIC sees 2 %: 100 (fixed) and 50 (variable angle) per deposited GeV, and power 0.85."""
    one = np.full((1, 1, 1, 1), 1.0, np.float32)
    assert images.linear_images(one, 0.02, config("fixed")) == pytest.approx(100)
    linear = images.linear_images(one, 0.02, config("angle"))
    assert linear == pytest.approx(50)
    assert float(images.to_image(torch.tensor(linear), config("angle")["power"])) == pytest.approx(
        50**0.85
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_another_unit_makes_the_same_numbers_of_other_energies(version: str) -> None:
    """20 GeV for 100: a shower of 30 GeV is the image that one of 150 GeV was."""
    coarse, fine = (native_config(8.9, 21.6, 9.2, 5.0, version, unit) for unit in (100.0, 20.0))
    showers = np.random.default_rng(0).uniform(1e-4, 1e-2, (1, 25, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(
        images.linear_images(showers, 0.03, fine), images.linear_images(5 * showers, 0.03, coarse),
        rtol=1e-6,
    )  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_the_layer_is_the_last_axis_of_an_image_and_x_its_second(version: str) -> None:
    """So that showers tilted towards x have the angle that the reference measures towards y."""
    linear = torch.zeros(1, 2, 3, 4)
    linear[0, 1, 2, 3] = 1.0  # layer, y, x
    assert images.to_image(linear, config(version)["power"])[0, 2, 3, 1] == 1


def test_the_generator_is_given_energies_and_angles_as_in_the_reference() -> None:
    energy, theta = torch.tensor([[0.5]]), torch.tensor([[0.3]])
    fixed = images.seed_of(config("fixed"), torch.ones(1, 200), energy, theta)
    assert fixed.tolist() == [[0.5] * 200]
    angle = images.seed_of(config("angle"), torch.ones(1, 254), energy, theta)
    assert angle.shape == (1, 256)
    assert angle[0, :3].tolist() == pytest.approx([0.5, math.pi / 2 - 0.3, 1.0])


def test_the_fitted_sum_finds_a_calibration() -> None:
    energy = np.random.default_rng(0).uniform(0.01, 1, 800)
    wanted = energy * np.polyval([0.3, -0.2, 2.1], energy)
    linear = np.zeros((800, 2, 1, 1))
    linear[:, :, 0, 0] = 0.5 * wanted[:, None]
    fit = images.fit_sums(linear, energy)
    assert len(fit) == 5
    np.testing.assert_allclose(images.fitted_sum(fit, torch.tensor(energy)), wanted, rtol=1e-6)
    assert len(images.fit_sums(linear[:30], energy[:30])) == 2, "few showers bear a line only"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_exported_generator_equals_torch_for_any_batch(version: str, tmp_path: Path) -> None:
    made = checkpoint(version, sampling_fraction=0.03)
    inputs, (output,) = FAMILY.export(made, tmp_path / "model.onnx")
    rng = np.random.default_rng(1)
    known = {"noise": rng.normal(size=(3, inputs[0].shape[1])), "energy_gev": [[2], [20], [90]],
             "theta_rad": [[0], [0.2], [0.4]]}  # fmt: skip
    feed = {spec.name: np.array(known[spec.name], np.float32) for spec in inputs}
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    found = session.run([output.name], feed)[0]
    sampler = Sampler(rebuild(made).generator, made.config).eval()
    with torch.no_grad():
        wanted = sampler(*(torch.tensor(feed[spec.name]) for spec in inputs)).numpy()
    assert found.shape == (3, *FAMILY.shape(made.config).size)
    assert wanted.max() > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5 * wanted.max())
    assert [spec.name for spec in inputs[1:]] == made.config["conditions"]
    assert set(read_onnx(tmp_path / "model.onnx").inputs) == {spec.name for spec in inputs}


def test_the_exported_critic_equals_torch_and_judges_each_shower_alone(tmp_path: Path) -> None:
    made = checkpoint("fixed", sampling_fraction=0.03)
    FAMILY.export_scorer(made, tmp_path / "critic.onnx")
    showers = np.random.default_rng(1).exponential(1e-3, (5, 25, 25, 25)).astype(np.float32)
    session = ort.InferenceSession(tmp_path / "critic.onnx", providers=["CPUExecutionProvider"])
    found = session.run(["score"], {"showers": showers})[0]
    critic = Critic(rebuild(made), made.config).eval()
    with torch.no_grad():
        wanted = critic(torch.tensor(showers)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    alone = session.run(["score"], {"showers": showers[:1]})[0]
    np.testing.assert_allclose(alone, found[:1], rtol=1e-4, atol=1e-5)


def test_weights_are_stored_with_half_precision_and_read_back_the_same(tmp_path: Path) -> None:
    made = checkpoint("fixed")
    write_checkpoint(made, tmp_path / "checkpoint.safetensors")
    FAMILY.export(made, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size < 2.2 * 872_948
    assert (tmp_path / "checkpoint.safetensors").stat().st_size < 2.2 * (872_948 + 73_450)
    again = weights_of(rebuild(read_checkpoint(tmp_path / "checkpoint.safetensors")))
    for name, value in weights_of(rebuild(made)).items():
        assert np.array_equal(again[name], value), name


def test_exporting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    made = checkpoint("fixed")
    for place in ("a", "b"):
        FAMILY.export(made, tmp_path / place)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_weights_that_do_not_fit_are_refused(damage: str, tmp_path: Path) -> None:
    made = checkpoint("fixed")
    weights, key = dict(made.weights), "generator.dense.weight"
    if damage == "missing":
        del weights[key]
    else:
        weights[key] = np.full_like(weights[key], np.nan) if damage == "nan" else np.zeros((2, 2))
    with pytest.raises(BadFile, match=key):
        FAMILY.export(Checkpoint("3dgan", made.config, weights), tmp_path / "model.onnx")


def test_every_parameter_belongs_to_a_part_that_recipes_know() -> None:
    parts = {FAMILY.part_of(name) for name, _ in Gan3d(config()).named_parameters()}
    assert parts == {"embedder", "head", *(f"backbone.{k}" for k in range(3)),
                     *(f"critic.{k}" for k in range(5))}  # fmt: skip
