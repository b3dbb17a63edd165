"""Energy spots: how a smooth shower becomes cells.

Grindhammer-Peters deposits a shower as spots of equal energy, which leaves out its soft voxels.
Here spots of a slice have random energies, and the tail has its own. `HOMOGENEOUS` has few hard
and many soft core spots and a dense soft tail: that brings the number of cells over 0.1, 1 and
10 MeV of 10 and 50 GeV electrons in PbWO4 near full simulation. In a sampling calorimeter a spot
stands for one electron that crosses the active slab, so `SAMPLING` has exponential energies. These
shapes are ours, not of the paper, and the same for every detector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.simulate.cells import CellFinder
from catalog.simulate.medium import Planes

Array = NDArray[np.float64]
Index = NDArray[np.int64]
_MOST_SPOTS = 300_000  # at once: larger arrays leave the cache, and are slower


@dataclass(frozen=True)
class SpotModel:
    """How many spots, and how their energies vary.

    core_shape : of the Gamma distribution of core energies; 1 is exponential, as the tail's are
    core, tail : spots for each one of Grindhammer and Peters
    """

    core_shape: float
    core: float
    tail: float


HOMOGENEOUS, SAMPLING = SpotModel(0.12, 2.0, 8.0), SpotModel(1.0, 2.0, 2.0)


@dataclass(frozen=True)
class Tracks:
    """Where the axis of each shower runs; each (N,), mm and rad."""

    x: Array
    y: Array
    theta: Array


@dataclass(frozen=True)
class Slices:
    """Rows to be filled with spots: first the `cores` rows of the core, then those of the tail.

    shower, plane : whose, and where it is sampled
    energy : GeV of the row
    radius_mm : of the lateral form 2 r R^2 / (r^2 + R^2)^2
    spots : how many, at least 1
    reach_mm : no spot lies farther from the middle of its row
    offset_mm : (2, M) x and y from the axis to the middle of each row, if not the axis itself
    """

    shower: Index
    plane: Index
    energy: Array
    radius_mm: Array
    spots: Index
    cores: int
    core_shape: float
    reach_mm: float
    offset_mm: Array | None = None

    def part(self, start: int, stop: int) -> Slices:
        """Rows start .. stop."""
        cut = slice(start, stop)
        return Slices(
            self.shower[cut], self.plane[cut], self.energy[cut], self.radius_mm[cut],
            self.spots[cut], min(max(self.cores - start, 0), stop - start), self.core_shape,
            self.reach_mm, None if self.offset_mm is None else self.offset_mm[:, cut],
        )  # fmt: skip


@dataclass(frozen=True)
class Where:
    """The planes that sample a shower and the cells that they are read in."""

    planes: Planes
    finder: CellFinder


def deposit(
    slices: Slices, tracks: Tracks, where: Where, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Fill the rows: energy of every voxel (N, voxels), and all that was drawn (N,), GeV.

    The drawn energy counts spots outside the mesh too, so that the caller can scale every shower
    to the energy it must have without hiding leakage.
    """
    showers, voxels = len(tracks.x), where.finder.mesh.voxels
    out: Array = np.zeros(0)
    drawn: Array = np.zeros(showers)
    ends = np.cumsum(slices.spots)
    first = 0
    while first < len(ends):
        limit = (ends[first - 1] if first else 0) + _MOST_SPOTS
        last = max(first + 1, int(np.searchsorted(ends, limit, "right")))
        rows = slices.part(first, last)
        energy = _energies(rows, rng)
        sums = np.add.reduceat(energy, np.cumsum(rows.spots) - rows.spots, dtype=np.float64)
        drawn += np.bincount(rows.shower, sums, minlength=showers)
        # One voxel more than there are takes what lies outside.
        flat = _voxels(rows, tracks, where, rng)
        hits = np.bincount(flat, energy, minlength=showers * voxels + 1)
        out = out + hits if first else hits.astype(np.float64, copy=False)
        first = last
    if not len(out):
        return np.zeros((showers, voxels)), drawn
    return out[:-1].reshape(showers, voxels), drawn


def _energies(rows: Slices, rng: np.random.Generator) -> NDArray[np.float32]:
    """Energy of every spot, GeV; their mean is the row's energy over its number of spots."""
    hard = 0 if rows.core_shape == 1 else int(rows.spots[: rows.cores].sum())
    energy = np.empty(int(rows.spots.sum()), np.float32)
    rng.standard_gamma(rows.core_shape, out=energy[:hard], dtype=np.float32)
    energy[:hard] *= np.float32(1 / rows.core_shape)
    rng.standard_exponential(out=energy[hard:], dtype=np.float32)
    energy *= _each(rows.energy / rows.spots, rows)
    return energy


def _each(values: Array, rows: Slices) -> NDArray[np.float32]:
    """A value per row as a value per spot."""
    return np.repeat(values.astype(np.float32), rows.spots)


def _voxels(rows: Slices, tracks: Tracks, where: Where, rng: np.random.Generator) -> Index:
    """Flat index of every spot's voxel among all showers; the last one stands for outside."""
    finder, planes = where.finder, where.planes
    voxels = finder.mesh.voxels
    x, y = _transverse(rows, rng)
    if rows.offset_mm is not None:
        x += _each(rows.offset_mm[0], rows)
        y += _each(rows.offset_mm[1], rows)
    theta = tracks.theta[rows.shower]
    base = np.concatenate([finder.first, [0]])  # of layer -1: not read
    if theta.any():
        plane = np.repeat(rows.plane, rows.spots)
        x, plane, lost = _inclined(x, plane, _each(theta, rows), planes, rng)
        layer = planes.layer[plane]
        flat = np.repeat(rows.shower * voxels, rows.spots) + base[layer]
        layer[lost] = -1
    else:
        of_row = planes.layer[rows.plane]
        flat = np.repeat(rows.shower * voxels + base[of_row], rows.spots)
        layer = np.repeat(of_row, rows.spots)
    x += _each(tracks.x[rows.shower], rows)
    y += _each(tracks.y[rows.shower], rows)
    cell = finder.find(np.maximum(layer, 0), x, y)
    flat += cell
    flat[(cell < 0) | (layer < 0)] = len(tracks.x) * voxels
    voxel: Index = flat
    return voxel


def _transverse(
    rows: Slices, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points of 2 r R^2 / (r^2 + R^2)^2 dr around the axis: r = R sqrt(v / (1 - v)), v uniform."""
    n = int(rows.spots.sum())
    v, phi = rng.random(n, np.float32), rng.random(n, np.float32)
    # The form falls as r^-3, a shower faster: v ends where r is the reach.
    v *= _each(rows.reach_mm**2 / (rows.reach_mm**2 + rows.radius_mm**2), rows)
    r = np.sqrt(v / (1 - v))
    r *= _each(rows.radius_mm, rows)
    phi *= np.float32(2 * np.pi)
    return r * np.cos(phi), r * np.sin(phi)


def _inclined(
    a: NDArray[np.float32],
    plane: Index,
    theta: NDArray[np.float32],
    planes: Planes,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], Index, NDArray[np.bool_]]:
    """Turn offsets across an inclined axis into x and the plane that sees them.

    A spot at distance `a` from the axis, in the plane of incidence, lies a sin(theta) nearer to
    the front face: it may belong to an earlier plane, or leave through the front.
    """
    low, high = planes.zone[:-1][plane], planes.zone[1:][plane]
    z = low + (high - low) * rng.random(len(a), np.float32)
    axis_x = z * np.tan(theta)
    z = z - a * np.sin(theta)
    found = np.searchsorted(planes.zone, z, "right") - 1
    lost = (found < 0) | (found >= len(planes.layer))
    found = np.clip(found, 0, len(planes.layer) - 1)
    # Followed along the axis to the slab itself: its zone is wider than what is read out.
    slab = 0.5 * (planes.z0 + planes.z1)[found]
    x = axis_x + a * np.cos(theta) + (slab - z) * np.tan(theta)
    return x.astype(np.float32), found, lost
