"""Which model to start from: filter, probe, rank, predict, and say when nothing fits.

A first recommendation: the rank is the average over three zero-shot distances, the prediction is
the median of recorded runs. It is honest about not being calibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import ValidationError

from catalog.adapt.log import Adaptation
from catalog.card import Card
from catalog.compat import cannot_adapt, check_target
from catalog.errors import CatalogError, CheckFailed, NothingFits
from catalog.index import Index, Query, Row
from catalog.physics.distances import Array, frechet, w1_geomean, w1_mean
from catalog.physics.observables import observe
from catalog.physics.validate import sample_model
from catalog.pull import Pulled, fetch
from catalog.scoring.predict import (
    Prediction,
    evidence,
    predict_adapted,
    predict_scratch,
    predict_seconds,
)
from catalog.seen import seen_by
from catalog.settings import Settings
from catalog.showers import ShowerSet
from catalog.stores import Committed
from catalog.validation import explain

_SAMPLES = 1000  # generated showers per model; the target's conditions are repeated to reach it
# Three views: robust to one hopeless observable, sensitive to it, sensitive to correlations.
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
    """The answer. `excluded` are (ref, why) of models that cannot be adapted to the target.

    `floor` is the distance between two halves of the target's own showers.
    """

    target: ShowerSet
    showers: int
    verdict: Verdict
    reason: str
    ranking: tuple[Candidate, ...]
    scratch: Prediction | None
    floor: float | None
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
    try:
        check_target(target)
    except NothingFits as exc:  # an answer like any other, also as JSON
        why = f"{exc.message}; {exc.hint}"
        return Recommendation(target, len(target), "nothing-fits", why, (), None, None, ())
    _, rows = index.search(Query(task="shower-generation", limit=10_000))
    excluded: list[tuple[str, str]] = []
    probed: list[tuple[Row, list[float]]] = []
    reference = observe(target).values
    half = len(target) // 2
    floor = w1_geomean(reference[:half], reference[half:])
    for row in newest(rows):
        try:
            say(f"probing {row.ref}")
            probed.append((row, _probe(row, target, reference, settings, seed)))
        except CatalogError as exc:  # one broken model must not hide the others
            excluded.append((row.ref, exc.message.splitlines()[0]))
    runs = evidence(log, target.digest, target.pdg, len(target))
    ranking, scratch = _rank(probed, runs, log), predict_scratch(runs)
    answer = _verdict(ranking, scratch)
    return Recommendation(target, len(target), *answer, ranking, scratch, floor, tuple(excluded))


def newest(rows: list[Row]) -> list[Row]:
    """The newest version of each model; older ones are not proposed."""
    last: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.store, row.name)
        if key not in last or row.version > last[key].version:
            last[key] = row
    return list(last.values())


def _probe(
    row: Row, target: ShowerSet, reference: Array, settings: Settings, seed: int
) -> list[float]:
    """Zero-shot distances of one model, or an error that says why it is not possible."""
    try:
        card = Card.model_validate_json(row.card)
    except ValidationError as exc:
        raise CheckFailed(f"{row.ref}: its card cannot be read", explain(exc)) from exc
    if why := cannot_adapt(card, target):
        raise NothingFits(why)
    pulled = fetch(Committed(row.name, row.version, row.digest), settings)
    if seen := len(seen_by(pulled.folder, target)):
        raise NothingFits(f"trained on {seen} of these {len(target)} showers")
    return zero_shot(pulled, target, reference, seed)


def zero_shot(pulled: Pulled, target: ShowerSet, reference: Array, seed: int = 0) -> list[float]:
    """Distances between the model's showers at the target's conditions and the target's.

    `reference` are the observables of `target`. The first distance is w1_geomean; the adaptation
    log records it by this very function, so that a recorded ratio applies to what is computed here.
    """
    repeats = max(1, round(_SAMPLES / len(target)))
    sample = sample_model(pulled, target, np.tile(target.incident_gev, repeats), seed).values
    return [distance(sample, reference) for distance in _DISTANCES]


def _rank(
    probed: list[tuple[Row, list[float]]],
    runs: list[Adaptation],
    log: list[Adaptation],
) -> tuple[Candidate, ...]:
    """Average the ranks of all distances; equal averages are ordered by the first distance."""
    if not probed:
        return ()
    table = np.array([distances for _, distances in probed])
    better = (table[None] < table[:, None]).sum(1)
    equal = (table[None] == table[:, None]).sum(1)  # ties share their places
    ranks = (better + (equal + 1) / 2).mean(1)
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
