"""HTML that is escaped unless it was built here, and numbers written for readers."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

UNKNOWN = "not known"
_TIMES, _MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Markup(str):
    """Finished HTML; any other string is text and gets escaped."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Any value as text that cannot act: escaped, without control or direction characters."""
    if isinstance(value, Markup):
        return value
    shown = _CONTROL.sub("\ufffd", str(value)).encode("utf-8", "replace").decode()
    return Markup(html.escape(shown, quote=True))


def tag(name: str, *children: object, **attributes: str) -> Markup:
    """One element; `class_` and `data_label` are written `class` and `data-label`."""
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{''.join(pairs)}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Children one after the other, each escaped unless it is Markup."""
    return Markup("".join(text(child) for child in children))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], marked: str = "") -> Markup:
    """A table that becomes a list of blocks on a phone (each cell carries its header).

    Rows whose first cell is `marked` stand out.
    """
    head = tag("tr", *(tag("th", header, scope="col") for header in headers))
    body = []
    for row in rows:
        cells = (
            tag("td", _cell(cell), data_label=header, class_=_kind(cell))
            for header, cell in zip(headers, row, strict=True)
        )
        body.append(tag("tr", *cells, class_="marked" if marked and row[0] == marked else ""))
    return tag("table", tag("thead", head), tag("tbody", *body))


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits, thousands separated, powers of ten written out; integers in full."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if isinstance(value, Integral):
        return f"{value:,}"
    if math.isinf(value):
        return "infinite"
    size = abs(value)
    if not size:
        return "0"
    if size < 1e-3 or size >= 1e6:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        raised = str(int(power)).translate(_SUPERSCRIPT)
        return f"{mantissa} {_TIMES} 10{raised}".replace("-", _MINUS)
    whole = size >= 10**digits - 0.5
    shown = f"{value:,.0f}" if whole else f"{value:#.{digits}g}".rstrip(".")
    return shown.replace("-", _MINUS)


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A value and, where both ends are known, its interval; a prediction earns two digits."""
    if value is None or low is None or high is None:
        return number(value, 2)
    return f"{number(value, 2)} ({number(low, 2)} to {number(high, 2)})"


def duration(seconds: float | None) -> str:
    """A time in the units a reader would choose."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 59.5:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def _cell(value: object) -> object:
    if _kind(value):
        return number(value)  # type: ignore[arg-type]
    return UNKNOWN if value is None else value


def _kind(value: object) -> str:
    return "number" if isinstance(value, Real) and not isinstance(value, bool) else ""
