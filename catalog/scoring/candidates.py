"""The models that are run for a target: probed, put in order, and tried out if asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from catalog.adapt.log import Adaptation
from catalog.errors import CatalogError, NothingFits
from catalog.index import Row
from catalog.physics.observables import Observables
from catalog.pull import Pulled, fetch
from catalog.scoring.order import Entrant, Judge, place
from catalog.scoring.predict import Prediction, predict_seconds, savings
from catalog.scoring.probe import Probe, probe
from catalog.scoring.saving import Savings
from catalog.scoring.shortlist import Listed
from catalog.scoring.tried import TRIED, try_out
from catalog.seen import seen_by
from catalog.settings import Settings
from catalog.showers import ShowerSet
from catalog.stores import Committed

Say = Callable[[str], None]
# A factor between a model's mean response and the target's: calibrating takes it away, but no
# detector explains it, so that a unit or a sampling fraction is wrong.
_RESPONSE = 10.0


@dataclass(frozen=True)
class Ran:
    """A model that was run at the target's conditions."""

    listed: Listed
    pulled: Pulled
    probe: Probe


@dataclass(frozen=True)
class Candidate:
    """One probed model's place in the ranking.

    rank : mean rank over the untrained scores, 1 is best
    prediction : None without recorded runs of its family
    tried : w1_geomean on held-out showers after a few steps; None unless asked for
    """

    ran: Ran
    rank: float
    prediction: Prediction | None
    seconds: float | None
    saved: Savings | None
    tried: float | None = None

    @property
    def ref(self) -> str:
        """`name@version`."""
        return self.ran.listed.row.ref

    @property
    def zero_shot(self) -> float:
        """w1_geomean before any training."""
        return self.ran.probe.zero_shot


def run_all(
    chosen: Sequence[Listed],
    target: ShowerSet,
    seen: Observables,
    settings: Settings,
    seed: int,
    say: Say,
) -> tuple[list[Ran], list[tuple[str, str]]]:
    """Run the chosen models; those that refuse are (ref, why) and hide no other."""
    found, refused = [], []
    for listed in chosen:
        row = listed.row
        try:
            say(f"probing {row.ref}")
            pulled = _pull(row, settings)
            if again := len(seen_by(pulled.folder, target)):
                raise NothingFits(f"trained on {again} of these {len(target)} showers")
            told = probe(pulled, target, seen, seed, say)
            if not 1 / _RESPONSE < told.response < _RESPONSE:
                raise NothingFits(
                    f"gives {told.response:.2g} times the visible energy of these showers"
                )
            found.append(Ran(listed, pulled, told))
        except CatalogError as exc:
            refused.append((row.ref, exc.message.splitlines()[0]))
    return found, refused


def rank_all(
    found: Sequence[Ran],
    judge: Judge,
    log: Sequence[Adaptation],
    target: ShowerSet,
    floor: float,
) -> tuple[tuple[Candidate, ...], bool]:
    """Best first, and whether their intervals are calibrated.

    A family that nobody has adapted is not predicted, and comes behind those that are.

    Parameters
    ----------
    floor : no prediction is below it
    """
    rows = [ran.listed.row for ran in found]
    entrants = [
        Entrant(row.digest, row.family, ran.probe.zero_shot, ran.probe.scores)
        for row, ran in zip(rows, found, strict=True)
    ]
    placed = place(judge, entrants, len(target))
    made = []
    for row, ran, rank, told in zip(rows, found, placed.rank, placed.predictions, strict=True):
        known = told.at_least(floor) if told and judge.learned.knows(row.family) else None
        saved = savings(log, target.digest, target.pdg, known, len(target)) if known else None
        seconds = predict_seconds(log, row.family, len(target))
        made.append(Candidate(ran, rank, known, seconds, saved))
    order = sorted(range(len(made)), key=lambda i: (not made[i].prediction, placed.place[i]))
    return tuple(made[i] for i in order), placed.calibrated


def try_all(
    ranking: Sequence[Candidate], target: ShowerSet, seed: int, say: Say
) -> tuple[tuple[Candidate, ...], float | None]:
    """Put those that a few steps of training brought nearest first; and what scratch reached.

    The best of families that are not predicted is among them: nothing else can tell of it.

    Raises
    ------
    MissingExtra
    """
    strangers = [c for c in ranking if not c.prediction]
    known = [c for c in ranking if c.prediction]
    chosen = [*known[: TRIED - 1], *strangers[:1], *known[TRIED - 1 :], *strangers[1:]]
    reached, scratch = try_out({c.ref: c.ran.pulled for c in chosen}, target, seed, say)
    told = [replace(c, tried=reached.get(c.ref)) for c in ranking]
    first = sorted((c for c in told if c.tried is not None), key=lambda c: c.tried or 0.0)
    return (*first, *(c for c in told if c.tried is None)), scratch


def _pull(row: Row, settings: Settings) -> Pulled:
    version = Committed(row.name, row.version, row.digest)
    return fetch(version, replace(settings, store=row.store))
