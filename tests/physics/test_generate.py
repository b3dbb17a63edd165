"""Asking a generator for showers: its conditions, and a model that does not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from catalog.domain import TensorSpec, load_detector
from catalog.domain.geometry import geometry_of
from catalog.errors import BadFile, UsageError
from catalog.generate import generate, make_inputs, open_session
from tests.toys import GRID, generator_card, generator_onnx

GEV = np.array([2.0, 5.0, 9.0])
ANGLED = TensorSpec(
    name="c", dtype="float32", shape=(-1, 2), role="condition",
    components=("energy_gev", "theta_rad"),
)  # fmt: skip


def test_a_model_with_a_fixed_batch_is_refused_by_name(tmp_path: Path) -> None:
    model = generator_onnx(0.03)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 7
    onnx.save(model, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    with pytest.raises(BadFile, match="stiff: .*[Gg]ot invalid dimensions") as refused:
        generate(session, generator_card("stiff"), GEV, 22)
    assert "\n" not in refused.value.message


def test_a_model_that_gives_another_number_of_showers_is_refused() -> None:
    class OneShowerDouble:
        def run(self, _names, feed):
            return [np.ones((1, *GRID), np.float32)]

    with pytest.raises(BadFile, match="asked for 3 showers"):
        generate(OneShowerDouble(), generator_card("m"), GEV, 22)


def test_angles_reach_the_model_and_are_zero_if_not_given() -> None:
    card = generator_card("m", inputs=(ANGLED,))
    theta = np.array([0.1, 0.2, 0.3])
    with_angles = make_inputs(card, GEV, 22, 0, theta)["c"]
    np.testing.assert_array_equal(with_angles, np.stack([GEV, theta], 1).astype(np.float32))
    assert not make_inputs(card, GEV, 22, 0)["c"][:, 1].any()


def test_a_model_that_generates_nothing_is_told_what_its_task_is() -> None:
    energy = TensorSpec(name="e", dtype="float32", shape=(-1, 1), role="prediction", unit="GeV")
    card = generator_card("m", task="energy-regression", outputs=(energy,))
    with pytest.raises(UsageError, match="its task is energy-regression"):
        generate(object(), card, GEV, 22)


def test_a_model_that_is_told_the_geometry_is_asked_for_the_given_one_or_its_own() -> None:
    spec = TensorSpec(
        name="c", dtype="float32", shape=(-1, 3), role="condition",
        components=("energy_gev", "sampling_fraction", "layers"),
    )  # fmt: skip
    card = generator_card("m", inputs=(spec,))
    own = make_inputs(card, GEV, 22, 0)["c"]
    other = make_inputs(card, GEV, 22, 0, geometry=geometry_of(load_detector("par04-siw")))["c"]
    np.testing.assert_allclose(own[0], [2, 0.02688, 40], rtol=1e-6)
    np.testing.assert_allclose(other[0], [2, 0.03189, 45], rtol=1e-6)


def test_an_input_that_cannot_be_filled_is_named() -> None:
    spec = TensorSpec(
        name="c", dtype="float32", shape=(-1, 1), role="condition", components=("colour",)
    )
    with pytest.raises(UsageError, match="input 'c': unknown condition colour"):
        make_inputs(generator_card("m", inputs=(spec,)), GEV, 22, 0)
