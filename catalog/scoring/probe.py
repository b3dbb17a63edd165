"""Stage 2: run a model at the target's own conditions, and compare what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog.errors import CatalogError
from catalog.physics.distances import frechet, standardise, w1_geomean, w1_mean, w1_per_observable
from catalog.physics.observables import Observables
from catalog.physics.validate import observe_run, run_model, sample_model
from catalog.pull import Pulled
from catalog.scoring.aligned import aligned
from catalog.scoring.card_scores import card_scores
from catalog.scoring.scorer import CRITIC, graph_of, scorer_fit, spread
from catalog.scoring.scores import load_score
from catalog.scoring.scores.arrays import Array
from catalog.showers import ShowerSet

SAMPLES = 500  # generated showers per model, of conditions all over the target, repeated if few
# Of generated and of target observables; cheap, steady at 40 showers, and unlike each other.
_SCORES = ("w1_geomean", "frechet", "energy", "sliced_w1")
_ALIGNED = ("w1_geomean", "frechet", "energy")  # once means and spreads are the target's
_DISTANCES: tuple[Callable[..., float], ...] = (w1_geomean, w1_mean, frechet)


@dataclass(frozen=True)
class Observed:
    """One observable of a model beside the target's, in the target's spreads.

    shift : mean of the model less that of the target
    """

    name: str
    w1: float
    shift: float


@dataclass(frozen=True)
class Probe:
    """What running one model told.

    zero_shot : w1_geomean before any training
    response : mean visible energy over that of the target
    scores : by name, higher is better; `fit` is of a likelihood, `critic` of a GAN's critic; also
        what its card tells (`catalog.scoring.card_scores`)
    observables : nearest first
    """

    zero_shot: float
    response: float
    scores: dict[str, float]
    observables: tuple[Observed, ...]

    @property
    def known(self) -> dict[str, float]:
        """The scores that are numbers, shortened: what the adaptation log keeps of a parent."""
        return {k: float(f"{v:.6g}") for k, v in self.scores.items() if np.isfinite(v)}


def _quiet(_: str) -> None:
    pass


def probe(
    pulled: Pulled,
    target: ShowerSet,
    seen: Observables,
    seed: int = 0,
    say: Callable[[str], None] = _quiet,
) -> Probe:
    """Run one model. `seen` are the observables of `target`.

    Raises
    ------
    CatalogError
        It does not run at these conditions. Only a broken scorer graph is forgiven, and said.
    """
    gev, theta = _conditions(target)
    showers = run_model(pulled, target, gev, theta, seed)
    made = observe_run(pulled, target, showers, gev, theta)
    scores = {name: load_score(name)(made.values, seen.values) for name in _SCORES}
    moved = aligned(made.values, gev, seen.values, target.incident_gev)
    for name in _ALIGNED:
        scores[f"aligned_{name}"] = load_score(name)(moved, seen.values)
    scores |= card_scores(pulled, target)
    # Log-odds of a critic and spreads of a likelihood are not one scale, and get no common rank.
    fit = "critic" if graph_of(pulled) == CRITIC else "fit"
    scores[fit] = _fit(pulled, say, target, showers, gev, theta)
    response = made.column("response").mean() / max(seen.column("response").mean(), 1e-12)
    near = w1_geomean(made.values, seen.values)
    return Probe(near, float(response), scores, _observed(made, seen))


def zero_shot(pulled: Pulled, target: ShowerSet, reference: Array, seed: int = 0) -> list[float]:
    """Distances between the model's showers at the target's conditions and the target's.

    `reference` are the observables of `target`. The first distance is w1_geomean; the adaptation
    log records it by this very function, so that what is learnt from it applies to a probe.
    """
    gev, theta = _conditions(target)
    made = sample_model(pulled, target, gev, seed, theta).values
    return [distance(made, reference) for distance in _DISTANCES]


def _conditions(target: ShowerSet) -> tuple[Array, Array]:
    """Energies and angles to ask for: all of the target's, or some spread all over it."""
    n = len(target)
    rows = spread(n, SAMPLES) if n > SAMPLES else np.tile(np.arange(n), round(SAMPLES / n))
    return target.incident_gev[rows], target.theta_rad[rows]


def _fit(pulled: Pulled, say: Callable[[str], None], *asked: Any) -> float:
    try:
        found = scorer_fit(pulled, *asked)
    except CatalogError as exc:
        say(f"{pulled.ref}: ranked without its scorer: {exc.message}")
        return np.nan
    return np.nan if found is None else found


def _observed(made: Observables, seen: Observables) -> tuple[Observed, ...]:
    w1 = w1_per_observable(made.values, seen.values)
    x, y = standardise(made.values, seen.values)
    shift = x.mean(0) - y.mean(0)
    rows = zip(seen.names, w1, shift, strict=True)
    return tuple(sorted((Observed(n, float(w), float(s)) for n, w, s in rows), key=lambda o: o.w1))
