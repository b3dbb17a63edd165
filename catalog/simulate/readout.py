"""The cells that a detector is read in, where the user names none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from catalog.domain import Detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import UsageError
from catalog.simulate.medium import medium_of

_CELL_RM = 0.25  # of a detector that tells no cell size


def readout_mesh(
    detector: Detector,
    cells: int = 25,
    layers: int | None = None,
    cell_mm: tuple[float, float] | None = None,
) -> Mesh:
    """`cells` x `cells` square cells around the axis in every readout layer.

    A stack of equal periods gives layers of equal depth, as the shipped showers have. Where periods
    differ, layers meet half-way between the active slabs of one and the next. If the active slabs
    cannot be shared equally among `readout_layers`, each is a layer of its own.

    Parameters
    ----------
    layers : instead of the detector's `readout_layers`
    cell_mm : (x, y), instead of the detector's; a quarter of R_M if neither is known

    Raises
    ------
    UsageError
        The detector has no layer stack, or its slabs cannot be shared among `layers`.
    """
    size = cell_mm or detector.cell_mm or _default_cell(detector)
    x, y = ([(i - cells / 2) * side for i in range(cells + 1)] for side in size)
    edges = _depths(detector, layers)
    return Mesh(tuple(Layer(a, b, "cartesian", tuple(y), tuple(x)) for a, b in pairwise(edges)))


def equal_layers(mesh: Mesh) -> bool:
    """Whether one thickness describes every layer, and one cut."""
    thick = np.array([layer.z1 - layer.z0 for layer in mesh.layers])
    first = mesh.layers[0].z0
    return mesh.shape is not None and first == 0 and bool(np.allclose(thick, thick[0], rtol=1e-9))


def _default_cell(detector: Detector) -> tuple[float, float]:
    side = round(_CELL_RM * medium_of(detector).rm_mm, 1)
    return side, side


def _depths(detector: Detector, layers: int | None) -> list[float]:
    medium_of(detector)  # refuses a detector without a stack
    slabs = detector.slabs()
    depth = sum(slab.mm for slab in slabs)
    active = sum(slab.active for slab in slabs)
    if active == len(slabs):  # homogeneous: cut as asked
        return _equal(depth, layers or detector.readout_layers or active)
    count = layers or detector.readout_layers or active
    if active % count:
        if layers:
            raise UsageError(
                f"{active} active slabs of {detector.name!r} cannot be shared by {layers} layers",
                f"a divisor of {active}: --layers {active}",
            )
        count = active
    if len(detector.stack) == 1 and detector.stack[0].repeat % count == 0:
        return _equal(depth, count)
    return _between(detector, active // count, depth)


def _equal(depth: float, count: int) -> list[float]:
    return [i * depth / count for i in range(count + 1)]


def _between(detector: Detector, each: int, depth: float) -> list[float]:
    """Edges half-way between the active slabs that end one layer and begin the next."""
    z, ends = 0.0, []
    for slab in detector.slabs():
        if slab.active:
            ends.append((z, z + slab.mm))
        z += slab.mm
    inner = [0.5 * (ends[i - 1][1] + ends[i][0]) for i in range(each, len(ends), each)]
    return [0.0, *inner, depth]
