"""What a physicist compares: per-shower observables in units of the detector.

All observables are computed on one mesh in X0 and R_M (`PHYSICS_SHAPE`), to which every shower,
simulated or generated, is moved by shared volume. So detectors of any segmentation compare, and a
model that already generates on that mesh loses nothing. Radii are to the axis of the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.showers import PHYSICS_SHAPE, ShowerSet

Array = NDArray[np.float64]
_DEPTH_GROUPS = ((0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 15), (15, 18), (18, 25))
_HIT = 2e-5  # a voxel is hit above this share of the incident energy (after 1 / sampling fraction)


@dataclass(frozen=True)
class Observables:
    """Per-shower values (N, F) and the spectra that plots need."""

    names: tuple[str, ...]
    values: Array
    incident_gev: Array
    longitudinal: Array  # (N, 25) share of the incident energy per X0
    radial: Array  # (N, 5) share of the incident energy per ring of R_M / 2
    cells: Array  # (M,) voxel energies over threshold, share of the incident energy


def observe(showers: ShowerSet) -> Observables:
    """Compute the observables of a ShowerSet (its detector must have a layer stack)."""
    grid = showers.on(PHYSICS_SHAPE)
    return observe_grid(grid, showers.incident_gev, showers.sampling_fraction())


def observe_grid(
    grid: NDArray[np.float32], incident_gev: Array, sampling_fraction: float
) -> Observables:
    """Compute the observables of showers on `PHYSICS_SHAPE`.

    Parameters
    ----------
    grid : (N, 25, 8, 5), GeV visible
    incident_gev : (N,), GeV
    sampling_fraction : visible over deposited energy, so that 1.0 is full response
    """
    share = grid.astype(np.float64) / (incident_gev[:, None, None, None] * sampling_fraction)
    total = share.sum((1, 2, 3))
    safe = np.maximum(total, 1e-12)
    longitudinal, radial = share.sum((2, 3)), share.sum((1, 2))
    depth: Array = np.arange(25.0) + 0.5
    radius: Array = 0.5 * np.arange(5.0) + 0.25
    mean_depth = longitudinal @ depth / safe
    mean_radius = radial @ radius / safe
    columns: dict[str, Array] = {
        "response": total,
        "depth_mean": mean_depth,
        "depth_rms": _rms(longitudinal, depth, mean_depth, safe),
        "depth_minus_ln_e": mean_depth - np.log(incident_gev),
        "radius_mean": mean_radius,
        "radius_rms": _rms(radial, radius, mean_radius, safe),
    }
    for low, high in _DEPTH_GROUPS:
        columns[f"depth_{low}_{high}_x0"] = longitudinal[:, low:high].sum(1) / safe
    for ring in range(5):
        columns[f"radius_ring_{ring}"] = radial[:, ring] / safe
    columns.update(_shape_columns(share, safe, radius))
    hits = share > _HIT
    names = tuple(columns)
    values = np.stack([columns[name] for name in names], axis=1)
    return Observables(names, values, incident_gev, longitudinal, radial, share[hits])


def _shape_columns(share: Array, safe: Array, radius: Array) -> dict[str, Array]:
    """Early and late width, transverse imbalance, hits and the hardest voxels."""
    rings = share.sum(2)
    early, late = rings[:, :5].sum(1), rings[:, 10:].sum(1)
    phi = -np.pi + (np.arange(8) + 0.5) * np.pi / 4
    moment = np.einsum("nzpr,r,p->n", share, radius, np.exp(1j * phi)) / safe
    flat = share.reshape(len(share), -1)
    hits = flat > _HIT
    logs = np.log(np.where(hits, flat, 1.0))
    count = np.maximum(hits.sum(1), 1)
    mean_log = logs.sum(1) / count
    spread = np.sqrt(np.maximum((logs**2).sum(1) / count - mean_log**2, 0))
    return {
        "radius_early": early @ radius / np.maximum(early.sum(1), 1e-12),
        "radius_late": late @ radius / np.maximum(late.sum(1), 1e-12),
        "barycentre_rm": np.abs(moment),
        "hits": hits.mean(1),
        "hit_log_mean": mean_log,
        "hit_log_rms": spread,
        "hardest_voxel": flat.max(1) / safe,
    }


def _rms(profile: Array, axis: Array, mean: Array, total: Array) -> Array:
    out: Array = np.sqrt(np.maximum(profile @ axis**2 / total - mean**2, 0.0))
    return out
