"""Move a checkpoint onto a finer or coarser mesh over the same volume.

Weights that lie on the mesh (embeddings of voxels, heads that give one number per voxel) are
interpolated linearly between cell centres; everything else stays. Only families that say where
their mesh is can be moved; the others have one fixed mesh in X0 and R_M and need no surgery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from catalog.adapt.family import Checkpoint, Family, Plan
from catalog.errors import UsageError

Size = tuple[int, int, int]


@dataclass(frozen=True)
class OnMesh:
    """An array of which one axis runs over (channels, layers, slow, fast), flattened in C order.

    extensive : values are amounts per cell, whose sum over the mesh is kept; else they are values
        at a point, such as a logit
    """

    axis: int = 0
    extensive: bool = False


@runtime_checkable
class Remeshable(Protocol):
    """What a family adds to be moved to another mesh."""

    def remeshed(self, config: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """The configuration with as many cells (layers, slow, fast) over the same volume."""
        ...

    def on_mesh(self, config: Mapping[str, Any]) -> Mapping[str, OnMesh]:
        """The arrays of a checkpoint that lie on the mesh."""
        ...


def remesh(start: Checkpoint, family: Family, plan: Plan) -> tuple[Checkpoint, Plan]:
    """The checkpoint on the mesh that the recipe asks for; unchanged if it asks for none.

    Without `interpolate` the arrays on the mesh are left out, so they start afresh with the parts
    that hold them, which are added to the recipe's `reinitialize`.

    Raises
    ------
    UsageError
        The family cannot be moved to another mesh.
    """
    size = plan.recipe.mesh
    if size is None:
        return start, plan
    if not isinstance(family, Remeshable):
        raise UsageError(
            f"family {family.name!r} has one fixed mesh in X0 and R_M: recipe "
            f"{plan.recipe.name!r} cannot give it {' x '.join(map(str, size))} cells",
            "leave out `mesh:`, or adapt a model of another family",
        )
    old, arrays = family.shape(start.config).size, family.on_mesh(start.config)
    config = family.remeshed(start.config, size)
    moved = {name: move(start.weights[name], at, old, size) for name, at in arrays.items()}
    if not plan.recipe.interpolate:
        parts = {family.part_of(name).partition(".")[0] for name in arrays}
        again = tuple(sorted({*plan.recipe.reinitialize, *parts}))
        plan = replace(plan, recipe=plan.recipe.model_copy(update={"reinitialize": again}))
    return Checkpoint(start.family, config, {**start.weights, **moved}), plan


def move(array: NDArray[np.float32], at: OnMesh, old: Size, new: Size) -> NDArray[np.float32]:
    """One array on another mesh.

    Raises
    ------
    UsageError
        The axis does not hold a whole number of meshes.
    """
    cells, length = int(np.prod(old)), array.shape[at.axis]
    if length % cells:
        raise UsageError(f"an axis of {length} is no mesh of {' x '.join(map(str, old))}")
    lead, rest = array.shape[: at.axis], array.shape[at.axis + 1 :]
    grid = array.reshape(*lead, length // cells, *old, *rest).astype(np.float64)
    for offset in range(3):
        axis = len(lead) + 1 + offset
        along = _along(old[offset], new[offset], at.extensive)
        grid = np.moveaxis(np.tensordot(along, grid, (1, axis)), 0, axis)
    return grid.reshape(*lead, -1, *rest).astype(np.float32)


def _along(old: int, new: int, extensive: bool) -> NDArray[np.float64]:
    """From old equal cells to new ones along one axis, (new, old).

    Rows sum to one (values at a point), or columns do (amounts, whose sum is then kept).
    """
    matrix = _linear(old, new) if new >= old else _shared(old, new)
    scaled: NDArray[np.float64] = matrix / matrix.sum(0 if extensive else 1, keepdims=True)
    return scaled


def _linear(old: int, new: int) -> NDArray[np.float64]:
    """Linear interpolation between cell centres."""
    centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.minimum(centre.astype(int), max(old - 2, 0))
    matrix = np.zeros((new, old))
    matrix[np.arange(new), low] = 1 - (centre - low)
    matrix[np.arange(new), np.minimum(low + 1, old - 1)] += centre - low
    return matrix


def _shared(old: int, new: int) -> NDArray[np.float64]:
    """Overlap of cells: interpolation towards fewer cells would skip some."""
    fine, coarse = np.arange(old + 1) / old, np.arange(new + 1) / new
    low = np.maximum(coarse[:-1, None], fine[None, :-1])
    shared: NDArray[np.float64] = np.minimum(coarse[1:, None], fine[None, 1:]) - low
    return shared.clip(0, None)
