"""Turn pydantic's errors into lines that name the field."""

from __future__ import annotations

from pydantic import ValidationError


def explain(error: ValidationError) -> list[str]:
    """One line per problem: `domain.energy_gev: ...`."""
    lines = []
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"]) or "document"
        message = item["msg"].removeprefix("Value error, ")
        given = repr(item.get("input"))
        shown = "" if len(given) > 60 or item["type"] == "missing" else f" (got {given})"
        lines.append(f"{place}: {message}{shown}")
    return lines
