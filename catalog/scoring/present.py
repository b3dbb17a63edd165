"""A recommendation as JSON and as text."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np

from catalog.scoring.predict import Prediction
from catalog.scoring.recommend import Recommendation
from catalog.text import number, table


def as_dict(found: Recommendation) -> dict[str, Any]:
    """The JSON of a recommendation. What is not known yet is null, never a guess."""
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
        "calibrated": False,
        "showers": found.showers,
        "ranking": [
            {
                "ref": c.ref, "digest": c.digest, "family": c.family, **_numbers(c.prediction),
                "zero_shot": c.zero_shot, "rank": c.rank, "saved_showers": None,
                "quote": {"seconds": c.seconds, "usd": None, "co2_kg": None, "where": "here"},
            }
            for c in found.ranking
        ],
        "scratch": _numbers(found.scratch),
        "floor": found.floor,
        "excluded": [{"ref": ref, "why": why} for ref, why in found.excluded],
    }  # fmt: skip


def human(found: Recommendation, data: str) -> str:
    """The ranking as a table, scratch below it, then the verdict."""
    target = found.target
    energies = target.incident_gev
    lines = [
        f"target   {target.source}: {target.detector.name}, PDG {target.pdg}, "
        f"{np.min(energies):.3g}..{np.max(energies):.3g} GeV, {found.showers} showers",
        "metric   w1_geomean (0 is perfect; distances in spreads of the target)",
        "",
    ]
    rows = [
        (c.ref, number(c.rank), number(c.zero_shot), _range(c.prediction), number(c.seconds, 2))
        for c in found.ranking
    ]
    half = found.showers // 2
    rows.append(("from scratch", "-", "-", _range(found.scratch), "-"))
    rows.append((f"floor ({half} against {half})", "-", number(found.floor), "-", "-"))
    head = ("MODEL", "MEAN RANK", "ZERO-SHOT", "PREDICTED (RANGE)", "SECONDS")
    lines += [table(head, rows), ""]
    lines += [f"not possible  {ref}: {why}" for ref, why in found.excluded]
    lines += [f"verdict  {found.verdict}: {found.reason}", _honesty(found)]
    if found.verdict == "adapt":
        lines.append(
            f"next     catalog adapt {found.ranking[0].ref} --data {shlex.quote(data)} "
            f"--showers {found.showers} --out adapted/ --scratch scratch/"
        )
    return "\n".join(lines)


def _honesty(found: Recommendation) -> str:
    runs = max((c.prediction.runs for c in found.ranking if c.prediction), default=0)
    scratch = found.scratch.runs if found.scratch else 0
    return (
        f"note     not calibrated: the mean rank over three zero-shot distances decides; "
        f"predictions rest on {runs} recorded adaptations and {scratch} scratch runs, and ranges "
        "are what those runs spanned"
    )


def _numbers(prediction: Prediction | None) -> dict[str, float | None]:
    if prediction is None:
        return {"predicted": None, "low": None, "high": None}
    return {"predicted": prediction.predicted, "low": prediction.low, "high": prediction.high}


def _range(prediction: Prediction | None) -> str:
    if prediction is None:
        return "unknown"
    return f"{prediction.predicted:.2f} ({prediction.low:.2f}..{prediction.high:.2f})"
