"""A duration as people write it: 90, 90s, 2min, 1.5h."""

from __future__ import annotations

import re

from catalog.errors import UsageError

_SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Seconds.

    Raises
    ------
    UsageError
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if found is None or found[2] not in _SECONDS or not float(found[1]):
        raise UsageError(f"{text!r} is no duration", "give seconds, or 90s, 2min, 1.5h")
    return float(found[1]) * _SECONDS[found[2]]
