"""Profile, response and spectra of a model beside the showers that trained it, from fingerprints.

Both sides are taken in the same bins of energy, weighed as the showers of the reference are, so
that a difference is never one of the spectra. Bands are one standard error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.fingerprint import Fingerprint, Kept
from catalog.fingerprint.axes import ENERGY_EDGES, FEWEST, LOW, NAMES, STEP
from catalog.report.markup import Markup
from registry_server.web import svg

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_W, _H, _TOP, _RATIO = 400, 300, 26, 205  # px: figure, top of the panel, top of the ratio's
_LEFT, _RIGHT = 52, 392
_BINS = 24  # of a spectrum


@dataclass(frozen=True)
class Pair:
    """Reference and model in the same bins: values (B,) with their standard errors.

    edges : (B + 1,), in the unit of the horizontal axis
    """

    edges: Array
    reference: Array
    reference_error: Array
    model: Array
    model_error: Array


@dataclass(frozen=True)
class View:
    """Titles with units; `near` looks closely at values near one."""

    x: str
    y: str
    log: bool = False
    near: bool = False


def plots(kept: Kept | None) -> dict[str, Markup]:
    """Every plot that the fingerprints tell, by title.

    What generates is drawn alone where the showers that trained it kept no fingerprint.
    """
    if kept is None or kept.samples is None:
        return {}
    data, samples = kept.data or kept.samples, kept.samples
    common = (data.n >= FEWEST) & (samples.n >= FEWEST)
    if not common.any():
        return {}
    pairs = _pairs(data, samples, common)
    return {
        title: _draw(pair, view, alone=kept.data is None) for title, (pair, view) in pairs.items()
    }


def _pairs(data: Fingerprint, samples: Fingerprint, common: Mask) -> dict[str, tuple[Pair, View]]:
    depth = [name for name in NAMES if re.fullmatch(r"depth_\d+_\d+_x0", name)]
    edges = np.array([0.0] + [float(name.split("_")[2]) for name in depth])
    rings = [name for name in NAMES if name.startswith("radius_ring_")]
    found = {
        "Longitudinal profile": (
            _shares(data, samples, common, depth, edges), View("depth [X0]", "share per X0")
        ),
        "Radial profile": (
            _shares(data, samples, common, rings, np.arange(len(rings) + 1) / 2),
            View("distance to the axis [R_M]", "share per R_M"),
        ),
    }  # fmt: skip
    if not (data.own_scale or samples.own_scale):  # else their mean response is 1 by construction
        found["Response"] = (
            _along(data, samples, common, "response"),
            View("incident energy [GeV]", "visible / (fraction x incident)", log=True, near=True),
        )
    for title, pair, view in (
        ("Resolution", _along(data, samples, common, "response", spread=True),
         View("incident energy [GeV]", "sigma / mean of the response", log=True)),
        ("Cell-energy spectrum, mean per shower", _spectrum(data, samples, common, "hit_log_mean"),
         View("mean log10 of cell energies", "showers per bin (normalised)")),
        ("Cells hit", _spectrum(data, samples, common, "hits"),
         View("share of cells that are hit", "showers per bin (normalised)")),
    ):  # fmt: skip
        found[title] = (pair, view)
    return found


def _shares(
    data: Fingerprint, samples: Fingerprint, common: Mask, names: list[str], edges: Array
) -> Pair:
    """Mean share of the energy per unit of the axis."""
    at = [NAMES.index(name) for name in names]
    width = np.diff(edges)
    weight = (data.n * common / (data.n * common).sum())[common][:, None]

    def of(found: Fingerprint) -> tuple[Array, Array]:
        mean, sd = found.mean[common][:, at], found.sd[common][:, at]
        error = np.sqrt(((weight * sd) ** 2 / found.n[common][:, None]).sum(0))
        return (weight * mean).sum(0) / width, error / width

    return Pair(edges, *of(data), *of(samples))


def _along(
    data: Fingerprint, samples: Fingerprint, common: Mask, name: str, *, spread: bool = False
) -> Pair:
    """Mean, or spread over mean, per bin of energy; showers along the axis."""
    rows = np.flatnonzero(common[:, 0]) if common[:, 0].any() else np.flatnonzero(common.any(1))
    angle = 0 if common[:, 0].any() else 1
    rows = np.arange(rows[0], rows[-1] + 1)
    known = common[rows, angle]

    def of(found: Fingerprint) -> tuple[Array, Array]:
        at = NAMES.index(name)
        mean, sd = found.mean[rows, angle, at], found.sd[rows, angle, at]
        n = np.maximum(found.n[rows, angle], 1)
        value, error = (
            (sd / mean, sd / mean / np.sqrt(2 * n)) if spread else (mean, sd / np.sqrt(n))
        )
        return np.where(known, value, np.nan), np.where(known, error, np.nan)

    return Pair(ENERGY_EDGES[rows[0] : rows[-1] + 2], *of(data), *of(samples))


def _spectrum(data: Fingerprint, samples: Fingerprint, common: Mask, name: str) -> Pair:
    """Distribution of an observable, from the histograms of the common bins."""
    at = NAMES.index(name)
    ends = [_ends(found, common, at) for found in (data, samples)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    edges = np.linspace(low, high, _BINS + 1)
    weight = data.n * common / (data.n * common).sum()

    def of(found: Fingerprint) -> tuple[Array, Array]:
        value, variance = np.zeros(_BINS), np.zeros(_BINS)
        for e, a in zip(*np.nonzero(common), strict=True):
            part = _rebinned(found, (e, a, at), edges)
            value += weight[e, a] * part / found.n[e, a]
            variance += (weight[e, a] / found.n[e, a]) ** 2 * part
        return value, np.sqrt(variance)

    return Pair(LOW[at] + STEP[at] * edges, *of(data), *of(samples))


def _ends(found: Fingerprint, common: Mask, at: int) -> tuple[float, float]:
    cells = found.cells
    full = (cells.counts[:, :, at] > 0) & common[..., None]
    starts = cells.starts[:, :, at]
    width = np.broadcast_to((1 << cells.shift[:, :, at])[..., None], starts.shape)
    return float(starts[full].min()), float((starts + width)[full].max())


def _rebinned(found: Fingerprint, at: tuple[int, int, int], edges: Array) -> Array:
    """Counts of one histogram in other bins; showers of a cell lie evenly in it."""
    cells = found.cells
    starts, width = cells.starts[at].astype(float), float(1 << int(cells.shift[at]))
    places = np.concatenate([starts, starts[-1:] + width])
    total = np.concatenate([[0.0], np.cumsum(cells.counts[at])])
    return np.diff(np.interp(edges, places, total))


def _draw(pair: Pair, view: View, *, alone: bool) -> Markup:
    """The main panel; above the ratio to the reference, with its error band, if there is one."""
    x = svg.Scale(float(pair.edges[0]), float(pair.edges[-1]), _LEFT, _RIGHT, view.log)
    every = np.concatenate([pair.reference, pair.model])
    top, least = float(np.nanmax(every)) or 1.0, float(np.nanmin(every))
    low = max(0.0, least - 0.6 * (top - least)) if view.near else 0.0
    bottom = _H - 40 if alone else _RATIO - 14
    y = svg.Scale(low, top * (1.02 if view.near else 1.12), bottom, _TOP)
    parts = [*_curves(pair, x, y, alone=alone), svg.y_axis(y, _LEFT, view.y)]
    if alone:
        title = f"{view.y} against {view.x}, of the model alone"
        return svg.figure(_W, _H, title, *parts, svg.x_axis(x, bottom, view.x))
    ratio, half = _ratio(pair)
    r = svg.Scale(1 - half, 1 + half, _H - 40, _RATIO)
    parts += [
        svg.x_axis(x, bottom, labels=False), svg.line(_LEFT, r.at(1), _RIGHT, r.at(1), "one"),
        *_curves(ratio, x, r), svg.y_axis(r, _LEFT, ticks=(1 - half / 2, 1, 1 + half / 2)),
        svg.word(_RIGHT, _RATIO + 10, "ratio", "label", "end"), svg.x_axis(x, _H - 40, view.x),
    ]  # fmt: skip
    worst = float(np.nanmax(np.abs(ratio.model - 1), initial=0.0))
    title = f"{view.y} against {view.x}; the ratio is off by {worst:.0%} where it is worst"
    return svg.figure(_W, _H, title, *parts)


def _ratio(pair: Pair) -> tuple[Pair, float]:
    """Both over the reference, and half the height of the panel that holds nearly all of it."""
    scale = np.where(pair.reference > 0, pair.reference, np.nan)
    values = (pair.reference, pair.reference_error, pair.model, pair.model_error)
    ratio = Pair(pair.edges, *(value / scale for value in values))
    off = np.abs(ratio.model - 1)
    known = off[np.isfinite(off)]
    need = float(np.quantile(known, 0.85)) if known.size else 0.0
    return ratio, next((half for half in (0.05, 0.1, 0.2, 0.5) if need <= half), 1.0)


def _curves(pair: Pair, x: svg.Scale, y: svg.Scale, *, alone: bool = False) -> list[Markup]:
    edges = pair.edges.tolist()

    def around(value: Array, error: Array) -> list[tuple[float, float]]:
        return svg.band(edges, (value - error).tolist(), (value + error).tolist(), x, y)

    model = [
        svg.path(around(pair.model, pair.model_error), "model-error", closed=True),
        svg.path(svg.steps(edges, pair.model.tolist(), x, y), "model"),
    ]
    if alone:
        return model
    return [
        svg.path(around(pair.reference, pair.reference_error), "error", closed=True),
        svg.path(svg.steps(edges, pair.reference.tolist(), x, y), "reference"),
        *model,
    ]
