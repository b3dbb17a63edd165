"""Which recorded runs were on one calorimeter, whatever it was called.

What was reached on a calorimeter tells what will be reached on it, which is memory and no forecast:
files are cut, thinned and written again, so that no digest of them shows it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from catalog.adapt.log import Adaptation
from catalog.compat import same_calorimeter
from catalog.domain import Detector, load_detector
from catalog.domain.vocabulary import detector_names


def elsewhere(log: Sequence[Adaptation], detector: Detector) -> list[Adaptation]:
    """Runs on other calorimeters than `detector`; those of one calorimeter share one `target`."""
    names: list[tuple[str, Detector | None]] = []  # one of each calorimeter
    called: dict[tuple[str, str], str] = {}
    for run in log:
        key = run.target, json.dumps(run.detector, sort_keys=True)
        if key not in called:
            described = _described(*key)
            if _same(run.target, described, detector.name, detector):
                called[key] = ""
                continue
            alike = (name for name, other in names if _same(run.target, described, name, other))
            called[key] = next(alike, run.target)
            if called[key] == run.target:
                names.append((run.target, described))
    found = []
    for run in log:
        name = called[run.target, json.dumps(run.detector, sort_keys=True)]
        if name:
            found.append(replace(run, target=name))
    return found


def about(detector: Detector) -> dict[str, Any]:
    """What a record keeps of a detector: enough to know it by, and no more."""
    return detector.model_dump(mode="json", include={"name", "type", "stack"})


@lru_cache(maxsize=256)
def _described(name: str, kept: str) -> Detector | None:
    """The detector that a record keeps; else that of the vocabulary; None if nobody knows it."""
    try:
        if (fields := json.loads(kept)) and fields.get("stack"):
            return Detector.model_validate(fields)
    except ValidationError:
        return None  # a stranger's record
    return load_detector(name) if name in detector_names() else None


def _same(name: str, one: Detector | None, other_name: str, other: Detector | None) -> bool:
    if one is None or other is None:
        return name == other_name
    return same_calorimeter(one, other)
