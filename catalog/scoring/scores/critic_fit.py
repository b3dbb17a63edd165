"""A GAN critic's opinion of the target, made comparable between GANs."""

from __future__ import annotations

import math

import numpy as np

from catalog.physics.distances import auc
from catalog.scoring.scores.arrays import Array, table


def critic_fit(on_target: Array, on_own: Array) -> float:
    """Log-odds that the critic prefers a target shower to one of the model's own.

    A critic's logit has no scale and no zero: both depend on its loss, its last layer and when
    training stopped. Ranks depend on none of these, and the model's own showers are what the
    critic has learnt to be fooled by: log-odds of 0 mean that the target looks as real to it.
    Half a pair is added to either side (Haldane), so that few showers give no infinite answer:
    the range is +-ln(2 n m + 1). All targets that the critic rejects altogether tie there.

    Parameters
    ----------
    on_target, on_own : (m,) and (n,), the critic's logits at the same energies, higher is more real
    """
    target = table(on_target, "scores of target showers", rows=1)[:, 0]
    own = table(on_own, "scores of the model's own showers", rows=1)[:, 0]
    pairs = len(target) * len(own)
    wins = auc(np.asarray(target), np.asarray(own)) * pairs
    return math.log((wins + 0.5) / (pairs - wins + 0.5))
