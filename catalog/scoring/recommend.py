"""Which model to start from: filter, probe, rank, predict, and say when nothing fits.

A first recommendation: the rank is the average over three zero-shot distances, the prediction is
the median of recorded runs. It is honest about not being calibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catalog.adapt.log import Adaptation
from catalog.card import Card
from catalog.errors import CatalogError, NothingFits, UsageError
from catalog.index import Index, Query, Row
from catalog.physics.distances import frechet, w1_geomean, w1_mean
from catalog.physics.observables import Observables, observe
from catalog.physics.validate import MIN_SHOWERS, sample_model
from catalog.pull import Pulled, fetch
from catalog.scoring.predict import (
    Prediction,
    evidence,
    predict_adapted,
    predict_scratch,
    predict_seconds,
)
from catalog.settings import Settings
from catalog.showers import ShowerSet
from catalog.stores import Committed

_ELECTROMAGNETIC = {11, -11, 22}
_MUONS = {13, -13}
_SAMPLES = 1000  # generated showers per model; the target's conditions are repeated to reach it
_MIN_LAYERS = 8  # fewer readout layers do not resolve a shower's depth
# The three that ranked best without training in a pilot with 1,932 fine-tunes on toy detectors.
_DISTANCES: tuple[Callable[..., float], ...] = (w1_geomean, w1_mean, frechet)
Say = Callable[[str], None]
Verdict = Literal["adapt", "scratch", "nothing-fits"]


@dataclass(frozen=True)
class Candidate:
    """One model's place in the ranking; `zero_shot` is w1_geomean before any training."""

    ref: str
    digest: str
    family: str | None
    zero_shot: float
    rank: float
    prediction: Prediction | None
    seconds: float | None


@dataclass(frozen=True)
class Recommendation:
    """The answer. `excluded` are (ref, why) of models that cannot be adapted to the target."""

    target: ShowerSet
    showers: int
    verdict: Verdict
    reason: str
    ranking: tuple[Candidate, ...]
    scratch: Prediction | None
    excluded: tuple[tuple[str, str], ...]


def recommend(
    target: ShowerSet,
    index: Index,
    settings: Settings,
    log: list[Adaptation],
    say: Say,
    seed: int = 0,
) -> Recommendation:
    """Rank every generator of the index for a target.

    Parameters
    ----------
    target : the showers that would be adapted on; their number is the n of the prediction

    Raises
    ------
    UsageError
        Too few showers to compare with.
    """
    _check_target(target)
    _, rows = index.search(Query(task="shower-generation", limit=10_000))
    excluded: list[tuple[str, str]] = []
    probed: list[tuple[Row, list[float]]] = []
    reference = observe(target)
    for row in newest(rows):
        why = why_not(Card.model_validate_json(row.card), target)
        if why is None:
            say(f"probing {row.ref}")
            try:
                pulled = fetch(Committed(row.name, row.version, row.digest), settings)
                probed.append((row, zero_shot(pulled, target, reference, seed)))
            except CatalogError as exc:  # one broken model must not hide the others
                why = exc.message.splitlines()[0]
        if why is not None:
            excluded.append((row.ref, why))
    runs = evidence(log, target.digest, len(target))
    ranking = _rank(probed, runs, log)
    scratch = predict_scratch(runs)
    verdict, reason = _verdict(ranking, scratch)
    return Recommendation(target, len(target), verdict, reason, ranking, scratch, tuple(excluded))


def newest(rows: list[Row]) -> list[Row]:
    """The newest version of each model; older ones are not proposed."""
    last: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.store, row.name)
        if key not in last or row.version > last[key].version:
            last[key] = row
    return list(last.values())


def why_not(card: Card, target: ShowerSet) -> str | None:
    """Why a model cannot be adapted to a target; None if it can."""
    domain = card.domain
    if domain.shape is None:
        return "its card gives no mesh in X0 and R_M"
    if card.family is None:
        return "it names no family, so it cannot be trained further"
    if not {particle_class(pdg) for pdg in domain.particles} & {particle_class(target.pdg)}:
        return f"made for other particles than PDG {target.pdg}"
    if card.training and card.training.dataset_digest == target.digest:
        return f"trained on these very showers; see how good it is: catalog validate {card.name}"
    low, high = float(target.incident_gev.min()), float(target.incident_gev.max())
    if domain.energy_gev and (high < domain.energy_gev[0] or low > domain.energy_gev[1]):
        return f"covers {domain.energy_gev[0]:g}..{domain.energy_gev[1]:g} GeV only"
    return None


def particle_class(pdg: int) -> str:
    """Showers of one class can be adapted into each other."""
    if pdg in _ELECTROMAGNETIC:
        return "electromagnetic"
    return "muon" if pdg in _MUONS else "hadron"


def zero_shot(
    pulled: Pulled, target: ShowerSet, reference: Observables, seed: int = 0
) -> list[float]:
    """Distances between the model's showers at the target's conditions and the target."""
    repeats = max(1, round(_SAMPLES / len(target)))
    sample = sample_model(pulled, target, np.tile(target.incident_gev, repeats), seed)
    return [distance(sample.values, reference.values) for distance in _DISTANCES]


def _check_target(target: ShowerSet) -> None:
    if len(target) < MIN_SHOWERS:
        raise UsageError(
            f"{len(target)} showers are too few to compare with", f"give at least {MIN_SHOWERS}"
        )
    if len(target.mesh.layers) < _MIN_LAYERS:
        raise NothingFits(
            f"{target.source} has {len(target.mesh.layers)} readout layers; models generate on a "
            f"mesh in depth, which at least {_MIN_LAYERS} layers can resolve",
            "train from scratch on the detector's own cells",
        )
    target.scale()


def _rank(
    probed: list[tuple[Row, list[float]]], runs: list[Adaptation], log: list[Adaptation]
) -> tuple[Candidate, ...]:
    """Average the ranks of all distances; equal averages are ordered by the first distance."""
    if not probed:
        return ()
    table = np.array([distances for _, distances in probed])
    ranks = np.argsort(np.argsort(table, axis=0), axis=0).mean(1) + 1
    candidates = [
        Candidate(
            ref=row.ref,
            digest=row.digest,
            family=row.family,
            zero_shot=distances[0],
            rank=float(rank),
            prediction=predict_adapted(runs, row.family, distances[0]),
            seconds=predict_seconds(log, row.family),
        )
        for (row, distances), rank in zip(probed, ranks, strict=True)
    ]
    return tuple(sorted(candidates, key=lambda c: (c.rank, c.zero_shot, c.ref)))


def _verdict(ranking: tuple[Candidate, ...], scratch: Prediction | None) -> tuple[Verdict, str]:
    if not ranking:
        return "nothing-fits", "no model of the catalog can be adapted to this target"
    best = ranking[0]
    if best.prediction and scratch:
        if best.prediction.predicted <= scratch.predicted:
            return "adapt", f"adapting {best.ref} is expected to end below training from scratch"
        return "scratch", f"training from scratch is expected to end below adapting {best.ref}"
    if best.zero_shot < 1:
        return "adapt", (
            f"{best.ref} starts within one spread of the target; no recorded runs yet, so this "
            "is not compared with training from scratch"
        )
    return "scratch", (
        f"even {best.ref} starts more than one spread away from the target; no recorded runs yet"
    )
