"""A recommendation as JSON and as text."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from catalog.cost.offers import Offer
from catalog.report.charts import spelled
from catalog.scoring.candidates import Candidate
from catalog.scoring.predict import Prediction
from catalog.scoring.probe import Observed
from catalog.scoring.recommend import Recommendation
from catalog.scoring.saving import Savings
from catalog.scoring.tried import STEPS
from catalog.text import number, table

_NAMED = 3  # observables that fit best, and that fit worst
_NEXT = 5  # models beyond those that were run


def as_dict(found: Recommendation, costs: Mapping[str, Offer] | None = None) -> dict[str, Any]:
    """The JSON of a recommendation. What is not known yet is null, never a guess.

    Parameters
    ----------
    costs : the offer of each model, by its reference, where one is known
    """
    target = found.target
    return {
        "target": {
            "data": target.source, "digest": target.digest, "detector": target.detector.name,
            "pdg": target.pdg,
            "energy_gev": [float(target.incident_gev.min()), float(target.incident_gev.max())],
        },
        "verdict": found.verdict,
        "reason": found.reason,
        "metric": "w1_geomean",
        "calibrated": found.calibrated,
        "showers": found.showers,
        "ranking": [_row(c, (costs or {}).get(c.ref)) for c in found.ranking],
        "scratch": {**_numbers(found.scratch), "probe": _tried(found.tried)},
        "floor": found.floor,
        "floor_of": _floor_of(found),
        "zero_shot_floor": found.halves,
        "not_probed": {
            "models": len(found.others),
            "next": [
                {"ref": other.row.ref, "fingerprint": _finite(other.distance)}
                for other in found.others[:_NEXT]
            ],
        },
        "doubts": list(found.doubts),
        "excluded": [{"ref": ref, "why": why} for ref, why in found.excluded],
    }  # fmt: skip


def human(found: Recommendation, data: str, costs: Mapping[str, Offer] | None = None) -> str:
    """The ranking as a table with scratch and floor below it, why, then the verdict."""
    target, energies = found.target, found.target.incident_gev
    lines = [
        f"target   {target.source}: {target.detector.name}, PDG {target.pdg}, "
        f"{np.min(energies):.3g}..{np.max(energies):.3g} GeV, {found.showers} showers",
        "metric   w1_geomean (0 is perfect; distances in spreads of the target)",
        "",
    ]
    if found.ranking:
        lines += [_table(found, costs or {}), "", *_why(found), ""]
    lines += [f"not possible  {ref}: {why}" for ref, why in found.excluded[:_NEXT]]
    if (more := len(found.excluded) - _NEXT) > 0:
        lines.append(f"not possible  {more} more; --json lists them")
    if found.others:
        named = ", ".join(other.row.ref for other in found.others[:_NEXT])
        lines.append(f"not run  {len(found.others)} models of further fingerprints, next: {named}")
    lines += [f"doubt    {each}" for each in found.doubts]
    lines.append(f"verdict  {found.verdict}: {found.reason}")
    if found.ranking:
        lines += [*_silence(found), _honesty(found)]
    if found.verdict == "adapt":
        lines.append(
            f"next     catalog adapt {found.ranking[0].ref} --data {shlex.quote(data)} "
            f"--showers {found.showers} --out adapted/ --scratch scratch/"
        )
    return "\n".join(lines)


def _table(found: Recommendation, costs: Mapping[str, Offer]) -> str:
    rows = [
        (
            c.ref, _range(c.prediction), number(c.zero_shot), number(c.tried), saved_words(c.saved),
            number(c.rank, 2), number(c.seconds, 2), _cost(costs.get(c.ref)),
        )
        for c in found.ranking
    ]  # fmt: skip
    rows.append(("from scratch", _range(found.scratch), "-", number(found.tried), *"----"))
    floor = "-" if found.floor == found.halves else number(found.floor, 2)
    rows.append(("floor", floor, number(found.halves), *"-----"))
    head = (
        "MODEL", "PREDICTED (80 %)", "ZERO-SHOT", f"{STEPS} STEPS", "SAVED", "RANK", "SECONDS",
        "COST",
    )  # fmt: skip
    asked = (3, 7)  # columns that are there only if they say something
    used = [i for i in range(len(head)) if i not in asked or any(row[i] != "-" for row in rows)]
    return table([head[i] for i in used], [[row[i] for i in used] for row in rows])


def _why(found: Recommendation) -> list[str]:
    """Which observables of each model agree, and which do not, before training."""
    lines = ["before training (W1 in spreads of the target; + too high, - too low)"]
    for c in found.ranking:
        fits, off = _ends(c)
        note = {"geometry": "; is told the geometry", "no fingerprint": "; has no fingerprint"}
        lines.append(
            f"  {c.ref}: fits {', '.join(map(_words, fits))}; off {', '.join(map(_words, off))}"
            + note.get(c.ran.listed.why, "")
        )
    return lines


def _words(o: Observed) -> str:
    sign = "+" if o.shift > 0 else "-"
    return f"{spelled(o.name)} {o.w1:.2g}" + (f" {sign}" if abs(o.shift) > o.w1 / 2 else "")


def _ends(c: Candidate) -> tuple[list[Observed], list[Observed]]:
    """The observables that fit best, and those that fit worst, worst first."""
    every = list(c.ran.probe.observables)
    return every[:_NAMED], every[: -_NAMED - 1 : -1]


def _cost(offer: Offer | None) -> str:
    """What it costs and where, if somebody is paid."""
    if offer is None or offer.usd is None:
        return "-"
    kind = " spot" if offer.spot else ""
    return f"${number(offer.usd, 2)} {offer.where}, {offer.count} x {offer.device}{kind}"


def _quote(seconds: float | None, offer: Offer | None) -> dict[str, Any]:
    if offer is None:
        return {"seconds": seconds, "usd": None, "co2_kg": None, "where": "here"}
    return {
        "seconds": offer.seconds, "usd": offer.usd, "co2_kg": offer.co2_kg, "where": offer.where,
        "device": offer.device, "count": offer.count, "spot": offer.spot,
    }  # fmt: skip


def _row(c: Candidate, offer: Offer | None) -> dict[str, Any]:
    (fits, off), row = _ends(c), c.ran.listed.row
    return {
        "ref": c.ref, "digest": row.digest, "family": row.family, **_numbers(c.prediction),
        "zero_shot": c.zero_shot, "rank": c.rank,
        "not_predicted": None if c.prediction else _unpredicted(row.family),
        "saved_showers": round(c.saved.middle.showers) if c.saved else None,
        "saved_low": _whole(c.saved.low) if c.saved else None,
        "saved_high": _whole(c.saved.high) if c.saved else None,
        "saved_is": c.saved.middle.censored or "about" if c.saved else None,
        "quote": _quote(c.seconds, offer),
        "stage": "probe" if c.tried is None else "gradients",
        "chosen_by": c.ran.listed.why, "fingerprint": _finite(c.ran.listed.distance),
        "probe": _tried(c.tried),
        "response": c.ran.probe.response, "scores": c.ran.probe.known,
        "why": {"fits": [_observed(o) for o in fits], "off": [_observed(o) for o in off]},
    }  # fmt: skip


def _observed(o: Observed) -> dict[str, Any]:
    return {"observable": o.name, "w1": o.w1, "shift": o.shift}


def _tried(value: float | None) -> dict[str, float] | None:
    return None if value is None else {"steps": STEPS, "w1_geomean": value}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _floor_of(found: Recommendation) -> str | None:
    if found.floor is None:
        return None
    return "these showers" if found.floor == found.halves else "recorded runs"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def saved_words(saved: Savings | None) -> str:
    """`150 (90..220)`, or `150 (<0..>900)` where the scratch curve ends before it tells."""
    if saved is None:
        return "-"
    value, middle = f"{saved.middle.showers:.0f}", saved.middle
    words = f"{middle.censored} {value}".strip()
    if middle.censored and middle.showers == saved.least.showers == saved.most.showers:
        return words
    low, high = (f"{end.showers:.0f}" for end in (saved.least, saved.most))
    below, above = ("<" if saved.low is None else ""), (">" if saved.high is None else "")
    return f"{words} ({below}{low}..{above}{high})"


def _unpredicted(family: str | None) -> str:
    return f"too few recorded runs of the family {family}"


def _silence(found: Recommendation) -> list[str]:
    """Which models are not predicted though others are, and so stand behind them."""
    families = {str(c.ran.listed.row.family) for c in found.ranking if not c.prediction}
    if not families or not any(c.prediction for c in found.ranking):
        return []
    return [
        f"note     not predicted, and so ranked last: {', '.join(sorted(families))} (fewer than 3 "
        "recorded runs of the family); --probe also tries the first of them"
    ]


def _honesty(found: Recommendation) -> str:
    runs = max((c.prediction.runs for c in found.ranking if c.prediction), default=0)
    scratch = found.scratch.runs if found.scratch else 0
    rests = f"predictions rest on {runs} recorded adaptations and {scratch} scratch runs"
    if found.calibrated:
        return f"note     intervals hold 4 of 5 outcomes of the recorded targets; {rests}"
    moved = ", moved by recorded runs," if runs else ""
    how = f"the rank average over distances, fit and cards{moved}"
    return f"note     not calibrated: {how} decides; {rests}"


def _numbers(prediction: Prediction | None) -> dict[str, float | None]:
    if prediction is None:
        return {"predicted": None, "low": None, "high": None}
    return {"predicted": prediction.predicted, "low": prediction.low, "high": prediction.high}


def _range(prediction: Prediction | None) -> str:
    if prediction is None:
        return "unknown"
    return f"{prediction.predicted:.2g} ({prediction.low:.2g}..{prediction.high:.2g})"
