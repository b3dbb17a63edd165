"""Bins and axes of a fingerprint. Fixed for ever: so any two fingerprints merge.

Changing anything here takes a new format number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# GeV, three per decade: 0.0464, 0.1, 0.215, 0.464, 1 ... 10,000. A bin holds its lower edge.
ENERGY_EDGES: Array = 10.0 ** (np.arange(-4, 13) / 3)
ANGLE_EDGES: Array = np.array([0.0, 0.1, np.pi])  # rad: along the axis of the mesh, or inclined
BINS = (len(ENERGY_EDGES) - 1, len(ANGLE_EDGES) - 1)
# Products of observables are kept per decade: correlations change slowly with energy.
GROUP_OF_BIN = np.maximum(np.arange(BINS[0]) - 1, 0) // 3
GROUPS = int(GROUP_OF_BIN[-1]) + 1

LEVELS = 4096  # of every axis: what is kept of a value
CELLS = 16  # of a histogram

# Observables and the range of their axis; what lies outside counts as at its end. The first 27 are
# the recorded set, in its order; `shower_max_x0` is for people to read.
AXES: dict[str, tuple[float, float]] = {
    "response": (0.0, 4.0),
    "depth_mean": (0.0, 25.0),
    "depth_rms": (0.0, 12.5),
    "depth_minus_ln_e": (-10.0, 30.0),
    "radius_mean": (0.0, 2.5),
    "radius_rms": (0.0, 1.25),
    "depth_0_2_x0": (0.0, 1.0),
    "depth_2_4_x0": (0.0, 1.0),
    "depth_4_6_x0": (0.0, 1.0),
    "depth_6_8_x0": (0.0, 1.0),
    "depth_8_10_x0": (0.0, 1.0),
    "depth_10_12_x0": (0.0, 1.0),
    "depth_12_15_x0": (0.0, 1.0),
    "depth_15_18_x0": (0.0, 1.0),
    "depth_18_25_x0": (0.0, 1.0),
    "radius_ring_0": (0.0, 1.0),
    "radius_ring_1": (0.0, 1.0),
    "radius_ring_2": (0.0, 1.0),
    "radius_ring_3": (0.0, 1.0),
    "radius_ring_4": (0.0, 1.0),
    "radius_early": (0.0, 2.5),
    "radius_late": (0.0, 2.5),
    "barycentre_rm": (0.0, 2.5),
    "hits": (0.0, 1.0),
    "hit_log_mean": (-11.0, 2.0),
    "hit_log_rms": (0.0, 6.5),
    "hardest_voxel": (0.0, 1.0),
    "shower_max_x0": (0.0, 25.0),
}
NAMES = tuple(AXES)
RECORDED = len(NAMES) - 1
LOW: Array = np.array([low for low, _ in AXES.values()])
STEP: Array = np.array([(high - low) / LEVELS for low, high in AXES.values()])
PAIRS = np.triu_indices(RECORDED, 1)
FEWEST = 5  # bins with fewer showers are neither compared nor kept with a version


def levels_of(values: Array) -> NDArray[np.int64]:
    """The level of every value on its axis: (N, F) in 0 .. LEVELS - 1."""
    found: NDArray[np.int64] = np.clip((values - LOW) / STEP, 0, LEVELS - 1).astype(np.int64)
    return found


def place(incident_gev: Array, theta_rad: Array) -> NDArray[np.int64]:
    """The bin of every shower, energy first: (N,); -1 where its energy or angle is in none."""
    inside = np.ones(len(incident_gev), bool)
    found = []
    for values, edges in ((incident_gev, ENERGY_EDGES), (theta_rad, ANGLE_EDGES)):
        inside &= (values >= edges[0]) & (values <= edges[-1])
        bins = np.searchsorted(edges, values, "right") - 1
        found.append(np.minimum(bins, len(edges) - 2))
    return np.where(inside, found[0] * BINS[1] + found[1], -1)
