"""H-score (ICIP 2019) and its shrunk form (arXiv 2110.06893): between-class over all variance."""

from __future__ import annotations

import numpy as np

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array
from catalog.scoring.scores.gram import Spectrum, shrinkage


def h_score(found: Spectrum) -> float:
    """tr(C^-1 C_between), in [0, K - 1]; reaches K - 1 of any features once n <= d."""
    kept = found.values > 0
    return float((_between(found)[kept] / found.values[kept]).sum())


def shrunk_h_score(found: Spectrum) -> float:
    """The same with a Ledoit-Wolf covariance; to be preferred below some 10 rows per feature."""
    weight, mean = shrinkage(found)
    variances = (1 - weight) * found.values / found.n + weight * mean
    if not mean > 0:
        return 0.0
    return (1 - weight) * float((_between(found) / variances).sum()) / (found.n - 1)


def _between(found: Spectrum) -> Array:
    """Scatter between the classes along every eigenvector, (d,)."""
    share = found.target_mean
    classes = np.isclose(share.sum(), 1) and np.allclose(found.yy, found.n * share * (1 - share))
    if not classes:
        raise UsageError("the H-score is of classes, these targets are numbers", "use logme")
    scatter: Array = (found.projected**2 / (found.n * share)).sum(1)
    return scatter
