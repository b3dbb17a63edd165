"""Plots of showers against full simulation.

Every function takes a Scene and gives a Plot. All sets share the reference's bins; error bars and
bands are statistical.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog.errors import UsageError
from catalog.physics.observables import Observables
from catalog.report import curves
from catalog.report.canvas import (
    REFERENCE,
    Look,
    Plot,
    drawing,
    head,
    label_few_decades,
    legend,
    look,
    render,
)
from catalog.report.curves import Curve

FLOOR = "floor (other full simulation)"
_HEIGHT = 4.4  # inches
_FLOOR_COLOUR = "#9ECAE9"
_RATIO_RANGES = (0.05, 0.1, 0.2, 0.5, 1.0)
_ROOM = 1.2  # the ratio panel reaches past its outer ticks, whose labels then hit no other


@dataclass(frozen=True)
class Scene:
    """What is drawn.

    sets : {label: Observables}; the first is the reference (full simulation)
    floor : other full simulation at the same n, a band in the ratio panels
    about : the data, in a few words
    pictures : whether plots come as PNG too
    """

    sets: Mapping[str, Observables]
    floor: Observables | None = None
    about: str = ""
    pictures: bool = False

    @property
    def reference(self) -> Observables:
        """Full simulation.

        Raises
        ------
        UsageError
            There is nothing to draw.
        """
        if not self.sets:
            raise UsageError("nothing to draw: give the full simulation as the first set")
        return next(iter(self.sets.values()))


@dataclass(frozen=True)
class _Axes:
    """Titles with units in brackets, and the scales."""

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


def profile_plots(scene: Scene) -> dict[str, Plot]:
    """All plots of showers against full simulation, by title."""
    return {
        "Longitudinal profile": longitudinal_profile(scene),
        "Radial profile": radial_profile(scene),
        "Energy response": energy_response(scene),
        "Energy resolution": energy_resolution(scene),
        "Cell-energy spectrum": cell_spectrum(scene),
    }


def longitudinal_profile(scene: Scene) -> Plot:
    """Mean share of the incident energy per X0 against depth in X0."""
    axes = _Axes(r"Depth [$X_0$]", r"Mean share of $E_\mathrm{inc}$ per depth [$1/X_0$]")
    return _compare(scene, curves.longitudinal, axes)


def radial_profile(scene: Scene) -> Plot:
    """Mean energy density per ring, share of the incident energy per R_M^2, against r in R_M."""
    axes = _Axes(
        r"Distance to the shower axis, $r$ [$R_\mathrm{M}$]",
        r"Mean share of $E_\mathrm{inc}$ per area [$1/R_\mathrm{M}^2$]",
        log_y=True,
    )
    return _compare(scene, curves.radial, axes)


def energy_response(scene: Scene) -> Plot:
    """Mean visible energy over (sampling fraction x incident energy) against energy in GeV."""
    edges = curves.energy_edges(scene.sets.values())
    axes = _Axes(
        r"Incident energy, $E_\mathrm{inc}$ [GeV]",
        r"Mean $E_\mathrm{vis}\,/\,(f_\mathrm{s}\,E_\mathrm{inc})$ [1]",
        log_x=True,
    )
    return _compare(scene, lambda part: curves.response(part, edges), axes)


def energy_resolution(scene: Scene) -> Plot:
    """Standard deviation over mean of the response against incident energy in GeV."""
    edges = curves.energy_edges(scene.sets.values())
    axes = _Axes(
        r"Incident energy, $E_\mathrm{inc}$ [GeV]",
        r"Resolution, $\sigma$ / mean [1]",
        log_x=True,
        log_y=True,
    )
    return _compare(scene, lambda part: curves.resolution(part, edges), axes)


def cell_spectrum(scene: Scene) -> Plot:
    """Voxels per shower and decade against voxel energy as a share of the incident energy."""
    edges = curves.cell_edges(scene.sets.values())
    axes = _Axes(
        r"Voxel energy [share of $E_\mathrm{inc}$]",
        r"$\mathrm{d}N\,/\,\mathrm{d}\log_{10}E$ per shower [1/decade]",
        log_x=True,
        log_y=True,
    )
    return _compare(scene, lambda part: curves.cell_spectrum(part, edges), axes)


def _compare(scene: Scene, make: Callable[[Observables], Curve], axes: _Axes) -> Plot:
    """The main panel above the ratio to the reference, with its error band and the floor."""
    reference = make(scene.reference)
    lines = {label: make(showers) for label, showers in scene.sets.items()}
    floor = None if scene.floor is None else make(scene.floor).over(reference)
    with drawing(_HEIGHT + 0.2 * (len(lines) + (floor is not None))) as figure:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.25])
        _scales(top, axes, lines)
        handles = []
        for index, curve in enumerate(lines.values()):
            style = REFERENCE if index == 0 else look(index - 1)
            handles.append(_draw(top, curve, style))
            if index:
                _draw_ratio(bottom, curve.over(reference), style, index)
        bottom.axhline(1.0, color=REFERENCE.colour, linewidth=0.9)
        _band(bottom, reference.over(reference))
        if floor is not None:
            handles.append(_draw_floor(bottom, floor))
        half = _ratio_range([curve.over(reference) for curve in lines.values()])
        bottom.set_ylim(1 - _ROOM * half, 1 + _ROOM * half)
        bottom.set_yticks([1 - half, 1, 1 + half])
        _clipped(bottom, lines, half)
        top.set_ylabel(axes.y)
        bottom.set_ylabel("Ratio", loc="center")
        bottom.set_xlabel(axes.x)
        figure.align_ylabels([top, bottom])
        head(top, "Full simulation", scene.about)
        legend(figure, handles, [*lines, *([FLOOR] if floor is not None else [])])
        return render(figure, scene.pictures)


def _scales(top: Any, axes: _Axes, lines: Mapping[str, Curve]) -> None:
    """Set limits before drawing: an axis without data must still be a valid log axis."""
    edges = next(iter(lines.values())).edges
    values = np.concatenate([curve.value for curve in lines.values()])
    spans = [np.nan_to_num(curve.error) for curve in lines.values()]
    highs, lows = values + np.concatenate(spans), values[np.isfinite(values) & (values > 0)]
    high = float(np.nanmax(highs, initial=0.0, where=np.isfinite(highs)))
    if axes.log_x:
        top.set_xscale("log")
    if axes.log_y:
        top.set_yscale("log")
        low = float(lows.min()) if lows.size else 0.1
        top.set_ylim(low / 1.7, 1.7 * max(high, low))
    elif axes.log_x and lows.size:  # a response near one: zero would flatten every difference
        margin = max(0.35 * (high - float(lows.min())), 0.02 * high)
        top.set_ylim(float(lows.min()) - margin, high + margin)
    else:
        top.set_ylim(0, 1.12 * high or 1.0)
    top.set_xlim(float(edges[0]), float(edges[-1]))
    label_few_decades(top)


def _draw(axis: Any, curve: Curve, style: Look) -> Any:
    """One curve; returns what the legend shows."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    axis.stairs(
        curve.value, curve.edges, baseline=None, color=style.colour, linestyle=style.dash, zorder=3
    )
    if style == REFERENCE:
        _band(axis, curve)
        return Patch(facecolor="#BDBDBD", edgecolor=style.colour, linewidth=1.2)
    _points(axis, curve, style, zorder=4)
    return Line2D([], [], color=style.colour, marker=style.marker, linestyle=style.dash, ms=4)


def _points(axis: Any, curve: Curve, style: Look, zorder: int) -> None:
    """Markers with error bars at the bin centres; none where the value is unknown."""
    known = np.isfinite(curve.value)
    if known.any():
        axis.errorbar(
            _centres(axis, curve)[known],
            curve.value[known],
            yerr=np.nan_to_num(curve.error[known]),
            fmt=style.marker,
            color=style.colour,
            ms=3.5,
            elinewidth=1.0,
            zorder=zorder,
        )


def _band(axis: Any, curve: Curve) -> None:
    """A grey band of one standard error around a curve."""
    error = np.nan_to_num(curve.error)
    axis.stairs(
        curve.value + error,
        curve.edges,
        baseline=curve.value - error,
        fill=True,
        color="#BDBDBD",
        zorder=1,
    )


def _draw_floor(axis: Any, ratio: Curve) -> Any:
    """What other full simulation gives here: where a model cannot be asked to be nearer to one."""
    from matplotlib.patches import Patch

    error = np.nan_to_num(ratio.error)
    axis.stairs(
        ratio.value + error,
        ratio.edges,
        baseline=ratio.value - error,
        fill=True,
        color=_FLOOR_COLOUR,
        alpha=0.65,
        zorder=2,
    )
    return Patch(facecolor=_FLOOR_COLOUR, alpha=0.65)


def _draw_ratio(axis: Any, ratio: Curve, style: Look, index: int) -> None:
    axis.stairs(
        ratio.value,
        ratio.edges,
        baseline=None,
        color=style.colour,
        linestyle=style.dash,
        linewidth=0.9,
        zorder=3,
    )
    _points(axis, ratio, style, zorder=4 + index)


def _ratio_range(ratios: list[Curve]) -> float:
    """The narrowest of a few symmetric ranges that holds nearly all points and the band."""
    shown = [np.abs(ratio.value - 1) for ratio in ratios[1:]] + [1.2 * ratios[0].error]
    sizes = [part[np.isfinite(part)] for part in shown]
    need = max(float(np.quantile(part, 0.9)) if part.size else 0.0 for part in sizes)
    return next((half for half in _RATIO_RANGES if need <= 1.1 * half), _RATIO_RANGES[-1])


def _clipped(axis: Any, lines: Mapping[str, Curve], half: float) -> None:
    """Arrows at the border for points outside the ratio panel, so that none is lost unseen."""
    reference = next(iter(lines.values()))
    for index, curve in enumerate(list(lines.values())[1:]):
        ratio = curve.over(reference)
        where = _centres(axis, ratio)
        for marker, outside, y in (
            ("^", ratio.value > 1 + _ROOM * half, 1 + 1.05 * half),
            ("v", ratio.value < 1 - _ROOM * half, 1 - 1.05 * half),
        ):
            count = int(outside.sum())
            if count:
                axis.plot(where[outside], [y] * count, marker, color=look(index).colour, ms=5)


def _centres(axis: Any, curve: Curve) -> curves.Array:
    """Bin centres as the eye sees them: geometric on a log axis."""
    low, high = curve.edges[:-1], curve.edges[1:]
    centres: curves.Array = np.sqrt(low * high) if axis.get_xscale() == "log" else (low + high) / 2
    return centres
