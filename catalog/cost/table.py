"""Tables with a header line and `#` comments; what is wrong is named by file and line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from catalog.errors import BadFile

MAX_BYTES = 50_000_000
_MAX_NUMBER = 1e12


@dataclass(frozen=True)
class Line:
    """One row by column, and where it stands."""

    place: str
    cells: dict[str, str]

    def text(self, column: str) -> str:
        """A cell that must say something."""
        if not self.cells[column]:
            self.refuse(f"{column} is empty")
        return self.cells[column]

    def number(self, column: str) -> float | None:
        """A number that is finite and not negative; None where the cell is empty."""
        given = self.cells[column]
        if not given:
            return None
        try:
            value = float(given)
        except ValueError:
            self.refuse(f"{column} {given[:40]!r} is no number")
        if not math.isfinite(value) or not 0 <= value <= _MAX_NUMBER:
            self.refuse(f"{column} {given[:40]} is not from 0 to {_MAX_NUMBER:g}")
        return value

    def whole(self, column: str) -> int:
        """A whole number of at least 1."""
        value = self.number(column)
        if value is None or value < 1 or value != int(value):
            self.refuse(f"{column} {self.cells[column][:40]!r} is no whole number of at least 1")
        return int(value)

    def refuse(self, why: str) -> NoReturn:
        """Raise BadFile with the file and the line."""
        raise BadFile(f"{self.place}: {why}", "correct the line, or take it out")


def read_table(text: str, where: str, columns: Sequence[str]) -> Iterator[Line]:
    """The rows of a table that has these columns, and perhaps others.

    Raises
    ------
    BadFile
    """
    numbered = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not numbered:
        raise BadFile(f"{where}: is empty", f"its first line is {','.join(columns)}")
    lines = csv.reader(line for _, line in numbered)
    try:
        head = [name.strip() for name in next(lines)]
        if missing := [name for name in columns if name not in head]:
            raise BadFile(
                f"{where}: line {numbered[0][0]}: no column {', '.join(missing)}",
                f"its first line is {','.join(columns)}",
            )
        for (number, _), cells in zip(numbered[1:], lines, strict=True):
            place = f"{where}: line {number}"
            if len(cells) != len(head):
                raise BadFile(f"{place}: {len(cells)} cells under {len(head)} columns")
            yield Line(place, dict(zip(head, (cell.strip() for cell in cells), strict=True)))
    except (csv.Error, ValueError) as exc:
        raise BadFile(f"{where}: not a table: {exc}") from exc
