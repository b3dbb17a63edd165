"""Numbers, tables and other people's sentences as text."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns."""
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def number(value: float | None, digits: int = 3) -> str:
    """A number with that many significant digits; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def first_line(exc: BaseException, most: int = 300) -> str:
    """What an exception says, as far as its first line goes; its type if it says nothing."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:most]


def one_line(text: str, most: int = 300) -> str:
    """All of a text on one line, and no longer than a message may be."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}..."
