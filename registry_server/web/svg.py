"""Small drawings as SVG inside a page: scales, axes, marks. Colours are classes of the style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catalog.report.markup import Markup, join, tag


@dataclass(frozen=True)
class Scale:
    """From values low .. high to pixels start .. stop; `log` needs values above 0."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value, kept within the axis; one decimal is enough."""
        low, high = self._of(self.low), self._of(self.high)
        share = (self._of(max(value, self.low)) - low) / (high - low or 1.0)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.stop - self.start), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """(value, label) at round places."""
        return _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high)

    def _of(self, value: float) -> float:
        return math.log10(value) if self.log else value


def figure(
    width: float, height: float, title: str, *parts: object, class_: str = "", role: str = "img"
) -> Markup:
    """The element; `title` is what a reader who cannot see it is told.

    role : `group` if there are links in it
    """
    view = f"0 0 {width:g} {height:g}"
    about = {"role": role, "aria_label": title, "class_": f"plot {class_}".strip()}
    return tag("svg", tag("title", title), *parts, viewBox=view, **about)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A line."""
    return tag("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=class_)


def box(x: float, y: float, width: float, height: float, class_: str, title: str = "") -> Markup:
    """A rectangle, told on hover."""
    size = {"width": f"{max(width, 0):g}", "height": f"{max(height, 0):g}"}
    told = tag("title", title) if title else ""
    return tag("rect", told, x=f"{x:g}", y=f"{y:g}", **size, class_=class_)


def dot(x: float, y: float, radius: float, class_: str, title: str = "") -> Markup:
    """A circle, told on hover."""
    told = tag("title", title) if title else ""
    return tag("circle", told, cx=f"{x:g}", cy=f"{y:g}", r=f"{radius:g}", class_=class_)


def word(x: float, y: float, text: object, class_: str = "", anchor: str = "start") -> Markup:
    """A label."""
    return tag("text", text, x=f"{x:g}", y=f"{y:g}", class_=class_, text_anchor=anchor)


def path(points: Iterable[tuple[float, float]], class_: str, closed: bool = False) -> Markup:
    """A line through points."""
    d = " L".join(f"{x:g} {y:g}" for x, y in points)
    return tag("path", d=f"M{d}{'Z' if closed else ''}", class_=class_) if d else Markup("")


def x_axis(scale: Scale, y: float, title: str = "", labels: bool = True) -> Markup:
    """An axis along the bottom, ticks inwards."""
    parts = [line(scale.start, y, scale.stop, y, "axis")]
    for value, label in scale.ticks():
        x = scale.at(value)
        parts.append(line(x, y, x, y - 5, "axis"))
        if labels and label:
            parts.append(word(x, y + 14, label, "tick", "middle"))
    if title:
        parts.append(word(scale.stop, y + 30, title, "label", "end"))
    return join(parts)


def y_axis(scale: Scale, x: float, title: str = "", ticks: Sequence[float] = ()) -> Markup:
    """An axis along the left, ticks inwards; at `ticks` if they are given."""
    parts = [line(x, scale.start, x, scale.stop, "axis")]
    for value, label in [(it, f"{it:g}") for it in ticks] or scale.ticks():
        y = scale.at(value)
        parts.append(line(x, y, x + 5, y, "axis"))
        if label:
            parts.append(word(x - 6, y + 4, label, "tick", "end"))
    if title:
        parts.append(word(x - 2, scale.stop - 7, title, "label"))
    return join(parts)


def steps(
    edges: Sequence[float], values: Sequence[float], x: Scale, y: Scale
) -> list[tuple[float, float]]:
    """The corners of a histogram; bins without a value (NaN) are left out."""
    corners = []
    for low, high, value in zip(edges[:-1], edges[1:], values, strict=True):
        if math.isfinite(value):
            corners += [(x.at(low), y.at(value)), (x.at(high), y.at(value))]
    return corners


def band(
    edges: Sequence[float], low: Sequence[float], high: Sequence[float], x: Scale, y: Scale
) -> list[tuple[float, float]]:
    """The outline between two histograms."""
    return steps(edges, high, x, y) + steps(edges, low, x, y)[::-1]


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    span = high - low
    if not span > 0:
        return [(low, f"{low:g}")]
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next((it for it in (1, 2, 5) if span / (step * it) <= 6), 10)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    values = [(first + i) * step for i in range(count)]
    return [(value, f"{value:.6g}" if abs(value) > step / 1e3 else "0") for value in values]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    decades = math.log10(high / low)
    labelled = (1, 2, 5) if decades < 2.5 else (1,)
    found = []
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for digit in range(1, 10):
            value = digit * 10.0**power
            if low * 0.999 <= value <= high * 1.001 and (digit in labelled or decades < 4):
                shown = f"{value:g}" if 1e-3 <= value < 1e5 else f"{value:.0e}"
                found.append((value, shown if digit in labelled else ""))
    return found
