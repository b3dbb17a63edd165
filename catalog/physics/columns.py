"""The observables themselves, from shares of the incident energy on the physics mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DEPTH_GROUPS = ((0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 15), (15, 18), (18, 25))
HIT = 2e-5  # a voxel is hit above this share of the incident energy (after 1 / sampling fraction)
# Hits are counted per quarter of a decade of this share; the last bin is open.
SPECTRUM_EDGES = HIT * 10.0 ** (0.25 * np.arange(17))
_DEPTH: Array = np.arange(25.0) + 0.5  # X0
_RADIUS: Array = 0.5 * np.arange(5.0) + 0.25  # R_M
_PHI: Array = -np.pi + (np.arange(8) + 0.5) * np.pi / 4


def recorded_columns(share: Array, incident_gev: Array) -> dict[str, Array]:
    """The 27 observables of all recorded distances: {name: (N,)} from (N, 25, 8, 5).

    Adding or changing one here would change every distance that was ever recorded.
    """
    total = share.sum((1, 2, 3))
    safe = np.maximum(total, 1e-12)
    longitudinal, radial = share.sum((2, 3)), share.sum((1, 2))
    mean_depth = longitudinal @ _DEPTH / safe
    mean_radius = radial @ _RADIUS / safe
    columns: dict[str, Array] = {
        "response": total,
        "depth_mean": mean_depth,
        "depth_rms": _rms(longitudinal, _DEPTH, mean_depth, safe),
        "depth_minus_ln_e": mean_depth - np.log(incident_gev),
        "radius_mean": mean_radius,
        "radius_rms": _rms(radial, _RADIUS, mean_radius, safe),
    }
    for low, high in DEPTH_GROUPS:
        columns[f"depth_{low}_{high}_x0"] = longitudinal[:, low:high].sum(1) / safe
    for ring in range(5):
        columns[f"radius_ring_{ring}"] = radial[:, ring] / safe
    columns.update(_hit_columns(share, safe))
    return columns


def _hit_columns(share: Array, safe: Array) -> dict[str, Array]:
    """Early and late width, transverse imbalance, hits and the hardest voxels."""
    rings = share.sum(2)
    early, late = rings[:, :5].sum(1), rings[:, 10:].sum(1)
    flat = share.reshape(len(share), -1)
    hits = flat > HIT
    logs = np.log(np.where(hits, flat, 1.0))
    count = np.maximum(hits.sum(1), 1)
    mean_log = logs.sum(1) / count
    spread = np.sqrt(np.maximum((logs**2).sum(1) / count - mean_log**2, 0))
    return {
        "radius_early": early @ _RADIUS / np.maximum(early.sum(1), 1e-12),
        "radius_late": late @ _RADIUS / np.maximum(late.sum(1), 1e-12),
        "barycentre_rm": np.abs(_centre(share, safe)),
        "hits": hits.mean(1),
        "hit_log_mean": mean_log,
        "hit_log_rms": spread,
        "hardest_voxel": flat.max(1) / safe,
    }


def shape_columns(share: Array, recorded: dict[str, Array]) -> dict[str, Array]:
    """Observables outside the recorded set: {name: (N,)}.

    shower_max_x0 : depth of the maximum, X0
    depth_skew : third standardised moment of the longitudinal profile
    centre_x_rm, centre_y_rm : transverse centre of gravity, R_M (its depth is `depth_mean`)
    sparsity : share of the voxels at or below `HIT`
    """
    longitudinal = share.sum((2, 3))
    safe = np.maximum(recorded["response"], 1e-12)
    mean, rms = recorded["depth_mean"], np.maximum(recorded["depth_rms"], 1e-6)
    z = (_DEPTH - mean[:, None]) / rms[:, None]
    centre = _centre(share, safe)
    return {
        "shower_max_x0": shower_maximum(longitudinal),
        "depth_skew": (longitudinal * z**3).sum(1) / safe,
        "centre_x_rm": centre.real,
        "centre_y_rm": centre.imag,
        "sparsity": 1 - recorded["hits"],
    }


def shower_maximum(longitudinal: Array) -> Array:
    """Depth in X0 of the maximum of each profile (N, 25): a parabola through three layers.

    Profiles are first averaged over three layers, because layers of another thickness than 1 X0
    are shared unevenly. An empty shower has its maximum at 0.
    """
    padded = np.pad(longitudinal, ((0, 0), (1, 1)))
    smooth = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    peak = 1 + np.argmax(smooth[:, 1:-1], axis=1)
    rows = np.arange(len(smooth))
    low, mid, high = (smooth[rows, peak + step] for step in (-1, 0, 1))
    curvature = low - 2 * mid + high
    safe = np.where(curvature < 0, curvature, -1.0)
    step = np.clip(np.where(curvature < 0, 0.5 * (low - high) / safe, 0.0), -1, 1)
    found: Array = np.where(mid > 0, _DEPTH[peak] + step, 0.0)
    return found


def spectra(share: Array) -> Array:
    """Hits of each shower per bin of `SPECTRUM_EDGES`: (N, 17)."""
    flat, voxels = share.ravel(), share[:1].size
    hits = np.flatnonzero(flat > HIT)
    bins = len(SPECTRUM_EDGES)
    place = np.minimum((4 * np.log10(flat[hits] / HIT)).astype(np.intp), bins - 1)
    counts = np.bincount(hits // voxels * bins + place, minlength=len(share) * bins)
    return counts.reshape(-1, bins).astype(np.float64)


def _centre(share: Array, safe: Array) -> NDArray[np.complex128]:
    """Transverse centre of gravity x + iy in R_M."""
    found = np.einsum("nzpr,r,p->n", share, _RADIUS, np.exp(1j * _PHI)) / safe
    return np.asarray(found, dtype=np.complex128)


def _rms(profile: Array, axis: Array, mean: Array, total: Array) -> Array:
    out: Array = np.sqrt(np.maximum(profile @ axis**2 / total - mean**2, 0.0))
    return out
