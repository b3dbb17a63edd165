"""One look for all plots, and SVG and PNG out of matplotlib.

matplotlib is the extra 'plot' and is imported on first use. The user's matplotlibrc is set aside
and all ids are salted with a constant, so the same input gives the same bytes.

The look follows mplhep's: ticks inwards on all sides, minor ticks, axis labels at the ends, a bold
label over the top left corner, legends without a frame. mplhep itself would be 9 MB of fonts for
this one dictionary, and needs a matplotlib newer than most laboratories have.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Lock
from typing import Any, NamedTuple

from catalog.errors import MissingExtra

WIDTH = 5.0  # inches: two plots fit side by side on a desk, and one is readable on a phone
_LABEL_LENGTH = 46
_LOCK = Lock()  # matplotlib's settings are global to the process
_STYLE: dict[str, object] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.major.size": 6,
    "ytick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.minor.size": 3,
    "xaxis.labellocation": "right",
    "yaxis.labellocation": "top",
    "axes.linewidth": 0.9,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "hep-model-catalog",
}


_DPI = 200  # of a PNG: 1000 pixels wide


class Plot(NamedTuple):
    """One drawing, for a page and, if a picture was asked for, for a talk."""

    svg: str
    png: bytes = b""


class Look(NamedTuple):
    """Colour, marker and dash of one label; they differ in print without colour too."""

    colour: str
    marker: str
    dash: str


REFERENCE = Look("#000000", "", "-")
# Okabe and Ito's colours, which most colour-blind readers can tell apart; yellow is left out.
_LOOKS = (
    Look("#D55E00", "o", "-"),
    Look("#0072B2", "s", "--"),
    Look("#009E73", "^", "-."),
    Look("#CC79A7", "D", ":"),
    Look("#E69F00", "v", "-"),
    Look("#56B4E9", "P", "--"),
)


def look(index: int) -> Look:
    """The look of generated set number `index`, from 0; the same in every plot."""
    return _LOOKS[index % len(_LOOKS)]


def plain(label: str, length: int = _LABEL_LENGTH) -> str:
    """A label that can be drawn: no control character, no missing glyph, not too long.

    The middle is cut, because references differ at their ends.
    """
    text = "".join(c if _drawable(c) else "?" for c in label).strip() or "(no name)"
    if len(text) <= length:
        return text
    return f"{text[: length // 2]}...{text[-(length // 2 - 3) :]}"


def _drawable(character: str) -> bool:
    return " " <= character <= "~" or ("\xa1" <= character <= "\xff" and character != "\xad")


def need_matplotlib() -> None:
    """Say that it is missing before long work, not after.

    Raises
    ------
    MissingExtra
    """
    if find_spec("matplotlib") is None:
        raise MissingExtra("plot", "drawing plots")


@contextmanager
def drawing(height: float) -> Iterator[Any]:
    """A figure of the house style, `WIDTH` x `height` inches; render it before leaving.

    Raises
    ------
    MissingExtra
        matplotlib is not installed.
    """
    try:
        import matplotlib.style
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise MissingExtra("plot", "drawing plots") from exc
    with _LOCK, matplotlib.style.context(["default", _STYLE]):
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def render(figure: Any, picture: bool = False) -> Plot:
    """The figure as an `<svg>` element, and as PNG if asked, without date, author or doctype."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    vector, raster = io.StringIO(), io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(vector, metadata=nothing)
    if picture:
        figure.set_layout_engine("none")  # it is laid out, and doing it again takes as long
        figure.set_dpi(_DPI)
        FigureCanvasAgg(figure).print_png(raster, metadata={"Software": None})
    text = vector.getvalue()
    return Plot(text[text.index("<svg") :], raster.getvalue())


def head(axes: Any, reference: str, about: str) -> None:
    """What the plot is of, over its corners: the reference in bold, the data beside it."""
    for text, side, weight in ((reference, "left", "bold"), (about, "right", "normal")):
        title = axes.set_title(plain(text, 34) if text else "", loc=side, weight=weight, size=10)
        title.set_parse_math(False)  # a file's name is never mathematics


def label_few_decades(axes: Any) -> None:
    """Label log axes of less than three decades 1, 2, 5, 10, ... in plain digits."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        if axis.get_scale() != "log" or not low < high < 1000 * low:
            continue
        subs = (1.0, 2.0, 5.0) if high > 10 * low else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def legend(figure: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend above the axes, where it can hide no data; as many columns as fit."""
    shown = [plain(label) for label in labels]
    width = max((len(text) for text in shown), default=1) + 8
    box = figure.legend(
        handles,
        shown,
        loc="outside upper center",
        ncols=max(1, min(len(shown), 3, math.floor(64 / width))),
        columnspacing=1.4,
        handlelength=2.2,
    )
    for text in box.get_texts():  # a label is never mathematics, whatever dollars it holds
        text.set_parse_math(False)
