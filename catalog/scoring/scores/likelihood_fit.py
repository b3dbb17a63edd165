"""A likelihood, or a bound of one, of the target, made comparable between families."""

from __future__ import annotations

import numpy as np

from catalog.errors import UsageError
from catalog.scoring.scores.arrays import Array, table


def likelihood_fit(on_target: Array, on_own: Array) -> float:
    """How far the target's mean score lies from that of the model's own showers: asinh of spreads.

    A VAE's bound in nats and a flow's loss share neither scale nor zero nor number of voxels;
    in spreads of what the model says about its own showers they do. The asinh is z near 0 and
    a signed logarithm far away, so that one hopeless model does not set the scale for all.

    Higher is better up to 0, where the target is as likely as the model's own showers; above,
    beware of targets that are only simpler (arXiv 1810.09136).

    Parameters
    ----------
    on_target, on_own : (m,) and (n,), scores per shower at the same energies; see `at_one_energy`
    """
    target = table(on_target, "scores of target showers", rows=1)
    own = table(on_own, "scores of the model's own showers")
    spread = max(float(own.std()), 1e-9 * abs(float(own.mean())), 1e-30)
    return float(np.arcsinh((target.mean() - own.mean()) / spread))


def at_one_energy(
    on_target: Array, on_own: Array, target_gev: Array, own_gev: Array
) -> tuple[Array, Array]:
    """Both without the dependence on energy: less the own scores' parabola in ln E.

    Otherwise the spread is that of the energies, and hides what is to be seen.

    Raises
    ------
    UsageError
        An energy is not above 0, or there is not one per score.
    """
    target = table(on_target, "scores of target showers", rows=1)[:, 0]
    own = table(on_own, "scores of the model's own showers", rows=1)[:, 0]
    for scores, energies in ((target, target_gev), (own, own_gev)):
        if len(scores) != len(energies) or not np.min(energies) > 0:
            raise UsageError(
                f"{len(energies)} energies for {len(scores)} scores, the lowest "
                f"{np.min(energies, initial=np.inf):.3g} GeV",
                "give one above 0 per shower",
            )
    degree = min(2, len(np.unique(own_gev)) - 1)
    curve = np.polynomial.Polynomial.fit(np.log(own_gev), own, degree)
    return target - curve(np.log(target_gev)), own - curve(np.log(own_gev))
