"""The question which models to run, and its answer, as JSON between a client and a registry.

Sent are the particle, its energies and angles, the digest of the showers and their fingerprint:
sums over bins, from which no shower can be had.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

from catalog.errors import StoreError, UsageError
from catalog.fingerprint.file import Kept, parse_kept, to_bytes
from catalog.index import Row
from catalog.index.present import as_dict
from catalog.index.row import Places
from catalog.remote.index import row_of
from catalog.scoring.asked import Asked
from catalog.scoring.choose import Choice
from catalog.scoring.shortlist import Listed, Shortlist

MOST_ENERGIES = 10_000  # of more, as many quantiles: the share inside a window is as good


def question(asked: Asked, most: int) -> dict[str, Any]:
    """What is sent."""
    energies = np.sort(asked.incident_gev)
    if len(energies) > MOST_ENERGIES:
        places = np.linspace(0, len(energies) - 1, MOST_ENERGIES)
        energies = energies[np.round(places).astype(int)]
    taken = asked.fingerprint
    return {
        "pdg": asked.pdg,
        "digest": asked.digest,
        "incident_gev": [float(it) for it in energies],
        "theta_rad": [float(asked.theta_rad.min()), float(asked.theta_rad.max())],
        "fingerprint": base64.b64encode(to_bytes(Kept(taken))).decode() if taken else None,
        "models": most,
    }


def asked_in(told: dict[str, Any]) -> Asked:
    """The question again, at the registry.

    Raises
    ------
    UsageError
        The fingerprint cannot be read.
    """
    taken = None
    if told["fingerprint"] is not None:
        try:
            data = base64.b64decode(told["fingerprint"], validate=True)
        except (binascii.Error, ValueError) as exc:
            raise UsageError("fingerprint: not base64 of a fingerprint file") from exc
        taken = parse_kept(data, "fingerprint").best
    return Asked(
        told["pdg"], told["digest"], np.array(told["incident_gev"], np.float64),
        np.array(told["theta_rad"], np.float64), taken,
    )  # fmt: skip


def answer_of(choice: Choice) -> dict[str, Any]:
    """What is sent back. Of models that are not to be run the reference is enough."""
    listed = choice.listed
    return {
        "chosen": [
            {"model": as_dict(it.row, Places((it.row.store,), ())), "why": it.why,
             "distance": _finite(it.distance)}
            for it in listed.chosen
        ],
        "others": [
            {"ref": it.row.ref, "why": it.why, "distance": _finite(it.distance)}
            for it in listed.others
        ],
        "excluded": [{"ref": ref, "why": why} for ref, why in listed.excluded],
        "covered": [list(it) for it in choice.covered],
        "words": choice.words,
    }  # fmt: skip


def choice_of(told: Any) -> Choice:
    """The answer, as if the index had been here.

    Raises
    ------
    StoreError
        It is not of that shape.
    """
    try:
        chosen = [
            Listed(row_of(it["model"]), _distance(it), str(it["why"])) for it in told["chosen"]
        ]
        others = [Listed(_bare(it["ref"]), _distance(it), str(it["why"])) for it in told["others"]]
        excluded = tuple((str(it["ref"]), str(it["why"])) for it in told["excluded"])
        covered = tuple((low, high) for low, high in told["covered"])
        return Choice(Shortlist(tuple(chosen), tuple(others), excluded), covered, told["words"])
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreError("the registry's shortlist is not of the shape that is read here",
                         "is it of another version of the catalog?") from exc  # fmt: skip


def _bare(ref: str) -> Row:
    prefix, colon, rest = ref.rpartition(":")
    name, _, number = rest.rpartition("@")
    return Row(prefix, name, int(number), "", prefix=prefix + colon)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _distance(told: dict[str, Any]) -> float:
    return math.inf if told["distance"] is None else float(told["distance"])
