"""Principal components of features."""

from __future__ import annotations

import numpy as np

from catalog.scoring.scores.arrays import Array, table


def components(features: Array, energy: float = 1.0, most: int | None = None) -> Array:
    """Centred features along their first components, (n, r).

    As many as hold a share `energy` of the variance, at most `most`, at least one. Signs are fixed
    by the largest coefficient.
    """
    x = table(features, "features")
    centred = x - x.mean(0)
    _, values, rows = np.linalg.svd(centred, full_matrices=False)
    rows = rows * np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(1)])[:, None]
    held = np.cumsum(values**2)
    needed = int(np.searchsorted(held, energy * held[-1] * (1 - 1e-12))) + 1
    found: Array = centred @ rows[: min(needed, most or needed, len(rows))].T
    return found
