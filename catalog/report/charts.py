"""Charts of distances: each observable of each set, and the models of a Recommendation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from catalog.report.canvas import Plot, drawing, label_few_decades, legend, look, plain, render
from catalog.report.rows import Estimate, Ranked

_ROW = 0.21  # inches per observable
_MODEL_ROW = 0.36  # inches per model
_MOST_MODELS = 20
_LEAST = 1e-4  # distances below are drawn here: zero has no place on a log axis
_ZERO_SHOT, _ADAPTED, _SCRATCH = "#0072B2", "#D55E00", "#555555"
_ORDER = ("zero-shot", "predicted", "from scratch", "floor")


def w1_chart(
    w1: Mapping[str, Mapping[str, float]], floor: Mapping[str, float], picture: bool = False
) -> Plot:
    """Wasserstein-1 distance of every observable to full simulation, one marker per set.

    Parameters
    ----------
    w1 : {label: {observable: distance}}, in standard deviations of the reference; labels in the
        order of the other plots, without the reference, so that colours agree
    floor : {observable: distance} of independent full simulation at the same n
    """
    names = list(dict.fromkeys(name for row in (*w1.values(), floor) for name in row))
    with drawing(1.1 + 0.15 * len(w1) + _ROW * max(len(names), 2)) as figure:
        axis = figure.subplots()
        values = [v for row in (*w1.values(), floor) for v in row.values()]
        _horizontal(axis, [spelled(name) for name in names], values)
        axis.set_xlabel(r"$W_1$ to full simulation [$\sigma$ of full simulation]")
        left = axis.get_xlim()[0]
        base = [_on_axis(floor.get(name)) - left for name in names]
        bars = axis.barh(range(len(names)), base, left=left, height=0.8, color="#D9D9D9")
        handles: list[Any] = []
        for index, row in enumerate(w1.values()):
            style = look(index)
            x = [_on_axis(row.get(name)) for name in names]
            handles += axis.plot(x, range(len(names)), style.marker, color=style.colour, ms=4.5)
        legend(figure, [bars, *handles], ["floor (full simulation)", *w1])
        return render(figure, picture)


def recommendation_chart(
    ranking: Sequence[Ranked],
    scratch: Estimate | None = None,
    metric: str = "w1_geomean",
    floor: float | None = None,
    picture: bool = False,
) -> Plot:
    """Zero-shot and predicted distance per model, best on top, against training from scratch.

    `floor` is that of full simulation to itself. Unknown values are left out; a model with none
    says so. At most 20 models are drawn.
    """
    shown = list(ranking[:_MOST_MODELS])
    given: list[Mapping[str, Any]] = [*shown, *([scratch] if scratch else [])]
    keys = ("zero_shot", "predicted", "low", "high")
    with drawing(1.6 + _MODEL_ROW * max(len(shown), 2)) as figure:
        axis = figure.subplots()
        values = [*(row.get(key) for row in given for key in keys), floor]
        _horizontal(axis, [plain(row["ref"], 30) for row in shown], values)
        more = len(ranking) - len(shown)
        tail = f"; {more} more models are not drawn" if more else ""
        title = f"{plain(metric)} [\u03c3 of full simulation]\nsmaller is better{tail}"
        axis.set_xlabel(title, parse_math=False)
        handles = _draw_scratch(axis, scratch) if scratch else {}
        for place, row in enumerate(shown):
            handles |= _draw_model(axis, place, row)
        if floor is not None:
            handles["floor"] = axis.axvline(floor, color="black", linestyle=":", linewidth=1.3)
        order = [name for name in _ORDER if name in handles]
        if order:
            legend(figure, [handles[name] for name in order], order)
        return render(figure, picture)


def spelled(observable: str) -> str:
    """An observable's name for readers: `depth_0_2_x0` becomes `share 0-2 X0`."""
    if found := re.fullmatch(r"depth_(\d+)_(\d+)_x0", observable):
        return f"share {found[1]}-{found[2]} X0"
    if found := re.fullmatch(r"radius_ring_(\d)", observable):
        return f"share {int(found[1]) / 2:g}-{int(found[1]) / 2 + 0.5:g} R_M"
    return plain(observable.replace("_", " "), 30)


def _draw_model(axis: Any, place: int, row: Ranked) -> dict[str, Any]:
    """One row; returns {legend text: handle}."""
    handles: dict[str, Any] = {}
    zero, predicted = (_number(row.get(key)) for key in ("zero_shot", "predicted"))
    if zero is not None and predicted is not None:  # what adapting is expected to change
        axis.plot([zero, predicted], [place, place], color="#BDBDBD", linewidth=1, zorder=1)
    if predicted is not None:
        low, high = _number(row.get("low")), _number(row.get("high"))
        if low is not None and high is not None:
            axis.plot([low, high], [place] * 2, color=_ADAPTED, linewidth=2.2, zorder=2)
        drawn = axis.plot(predicted, place, "D", color=_ADAPTED, ms=6, zorder=3)
        handles["predicted"] = drawn[0]
    if zero is not None:
        drawn = axis.plot(zero, place, "o", mfc="white", mec=_ZERO_SHOT, mew=1.5, ms=6, zorder=3)
        handles["zero-shot"] = drawn[0]
    if not handles:
        side = {"ha": "right", "va": "center", "transform": axis.get_yaxis_transform()}
        axis.text(0.98, place, "not known", color=_SCRATCH, fontsize=9, **side)
    return handles


def _draw_scratch(axis: Any, scratch: Estimate) -> dict[str, Any]:
    predicted, low, high = (_number(scratch.get(key)) for key in ("predicted", "low", "high"))
    if low is not None and high is not None:
        axis.axvspan(low, high, color="#D9D9D9", zorder=0)
    if predicted is None:
        return {}
    line = axis.axvline(predicted, color=_SCRATCH, linestyle="--", linewidth=1.3, zorder=0.5)
    return {"from scratch": line}


def _horizontal(axis: Any, names: Sequence[str], values: Iterable[float | None]) -> None:
    """Names down the left side, the first on top, and a log axis that holds all values."""
    known = [v for v in map(_number, values) if v is not None] or [0.1, 1.0]
    low, high = min(known) / 1.4, max(known) * 1.4
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    label_few_decades(axis)
    axis.set_yticks(range(len(names)), names, parse_math=False)
    axis.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axis.tick_params(axis="y", which="both", length=0)
    axis.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    axis.set_axisbelow(True)


def _number(value: object) -> float | None:
    """A value that a log axis can hold; None where it is unknown."""
    if not isinstance(value, Real) or not math.isfinite(value):
        return None
    return max(float(value), _LEAST)


def _on_axis(value: object) -> float:
    number = _number(value)
    return math.nan if number is None else number
