"""Moving weights to another mesh: the same mesh changes nothing, and sums are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from catalog.adapt.family import Checkpoint, Plan
from catalog.adapt.recipe import Recipe
from catalog.adapt.surgery import OnMesh, move, remesh
from catalog.errors import UsageError
from catalog.showers import Shape

OLD = (4, 3, 5)
VALUES = np.random.default_rng(0).exponential(1, (2, 3 * 60, 7)).astype(np.float32)
HEAD, SUMS = OnMesh(axis=1), OnMesh(axis=1, extensive=True)
MESHES = [(8, 3, 5), (9, 4, 11), (4, 3, 5), (2, 3, 2), (1, 1, 1), (5, 1, 7)]


class ToyFamily:
    """A family whose configuration holds its mesh."""

    name = "toy"

    def shape(self, config: Any) -> Shape:
        depth, side, across = (tuple(np.linspace(0, 1, n + 1)) for n in config["cells"])
        return Shape("cartesian", depth, side, across)

    def part_of(self, parameter: str) -> str:
        return "head" if parameter.startswith("out") else "backbone.0"

    def remeshed(self, config: Any, size: tuple[int, int, int]) -> dict[str, Any]:
        return {**config, "cells": list(size)}

    def on_mesh(self, config: Any) -> dict[str, OnMesh]:
        return {"out.bias": OnMesh(0)}


PARENT = Checkpoint(
    "toy",
    {"cells": list(OLD)},
    {"out.bias": np.arange(60, dtype=np.float32), "body": np.ones(3, np.float32)},
)
PLAN = Plan(Recipe(), 1)


def finer(**recipe: Any) -> Plan:
    return replace(PLAN, recipe=Recipe(mesh=(8, 6, 5), **recipe))


@pytest.mark.parametrize("at", [HEAD, SUMS])
def test_the_same_mesh_is_the_identity(at: OnMesh) -> None:
    np.testing.assert_allclose(move(VALUES, at, OLD, OLD), VALUES, rtol=1e-6)


@pytest.mark.parametrize("new", MESHES)
def test_amounts_keep_their_sum_on_any_mesh(new: tuple[int, int, int]) -> None:
    moved = move(VALUES, SUMS, OLD, new).reshape(2, 3, -1, 7)
    assert moved.shape[2] == np.prod(new)
    np.testing.assert_allclose(moved.sum(2), VALUES.reshape(2, 3, 60, 7).sum(2), rtol=1e-5)
    assert moved.min() >= 0


@pytest.mark.parametrize("new", MESHES)
def test_values_at_points_stay_within_their_range_and_a_constant_stays(
    new: tuple[int, int, int],
) -> None:
    moved = move(VALUES, HEAD, OLD, new)
    assert VALUES.min() <= moved.min() <= moved.max() <= VALUES.max()
    flat = np.full((60,), 2.5, np.float32)
    np.testing.assert_allclose(move(flat, OnMesh(0), OLD, new), 2.5, rtol=1e-6)


def test_a_slope_stays_a_slope() -> None:
    slope = np.broadcast_to(np.arange(4.0)[:, None, None], OLD).astype(np.float32).ravel()
    moved = move(slope, OnMesh(0), OLD, (8, 3, 5)).reshape(8, 3, 5)
    np.testing.assert_allclose(moved[1:-1, 0, 0], np.arange(6) * 0.5 + 0.25, rtol=1e-6)


def test_an_axis_that_holds_no_mesh_is_refused() -> None:
    with pytest.raises(UsageError, match="an axis of 7 is no mesh of 4 x 3 x 5"):
        move(VALUES, OnMesh(2), OLD, (8, 3, 5))


def test_a_recipe_without_a_mesh_changes_nothing() -> None:
    assert remesh(PARENT, ToyFamily(), PLAN) == (PARENT, PLAN)  # type: ignore[arg-type]


def test_surgery_moves_what_lies_on_the_mesh_and_nothing_else() -> None:
    child, plan = remesh(PARENT, ToyFamily(), finer())  # type: ignore[arg-type]
    assert ToyFamily().shape(child.config).size == (8, 6, 5)
    assert child.weights["out.bias"].shape == (240,)
    assert child.weights["body"] is PARENT.weights["body"]
    assert plan.recipe.reinitialize == ()


def test_without_interpolation_the_parts_on_the_mesh_start_afresh() -> None:
    _, plan = remesh(PARENT, ToyFamily(), finer(interpolate=False))  # type: ignore[arg-type]
    assert plan.recipe.reinitialize == ("head",)


def test_a_family_with_one_fixed_mesh_says_so() -> None:
    class Fixed:
        name = "fixed"

    with pytest.raises(UsageError, match="'fixed' has one fixed mesh"):
        remesh(PARENT, Fixed(), finer())  # type: ignore[arg-type]
