"""Maximum mean discrepancy with two kernels (Gretton et al. 2012; Binkowski et al. 2018)."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, closeness, discrepancy, pair, squared_distances

_MEDIAN_OF = 2000  # showers a side that tell the bandwidth


def mmd_rbf(generated: Array, target: Array) -> float:
    """-ln MMD^2 with three Gaussians about the median distance between the two sets.

    The bandwidth follows the distance, so a far model and a very far one look alike.
    """
    x, y = pair(generated, target)
    few = (rows[:: -(-len(rows) // _MEDIAN_OF)] for rows in (x, y))
    scale = float(np.median(squared_distances(*few)))
    return closeness(discrepancy(x, y, lambda a, b: rbf(squared_distances(a, b), scale)))


def mmd_poly3(generated: Array, target: Array) -> float:
    """-ln MMD^2 with the kernel (x.y/F + 1)^3: means, covariances and third moments (KID)."""
    x, y = pair(generated, target)
    return closeness(discrepancy(x, y, lambda a, b: (a @ b.T / x.shape[1] + 1) ** 3))


def rbf(squared: Array, scale: float) -> Array:
    """e^(-q/s) + e^(-4q/s) + e^(-q/4s) of squared distances q; 3 at q = 0."""
    wide: Array = np.exp(-squared / (4 * max(scale, 1e-12)))
    middle = wide**4
    return wide + middle + middle**4
