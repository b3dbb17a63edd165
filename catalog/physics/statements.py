"""The statements that gates judge, as functions of the means of per-shower quantities.

That they are functions of means makes it cheap to ask them of hundreds of random halves: a
choice of showers is a row of zeros and ones, and all sums are one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from catalog.physics.binned import EnergyCurve, depth_shares
from catalog.physics.columns import DEPTH_GROUPS
from catalog.physics.distances import separation_edges
from catalog.physics.observables import Array, Observables

RESPONSE_GATE = "response_bias"
_PER_BIN, _MAX_BINS, _FEWEST = 60, 6, 10
_PER_GROUP = 40  # showers that tell a spread
_FURTHEST = 4.0  # spreads; what lies further counts as that far, in resolution and depth spread
_SPREAD = [0, 3]  # of what is judged, whose width is a statement: response and depth
_TILTED = 0.05  # rad; a smaller range of angles is one angle
_BLOCK = 4096  # showers whose table is held at once
_PAIRS = np.triu_indices(len(DEPTH_GROUPS), 1)

Table = dict[str, Array]


@dataclass(frozen=True)
class Frame:
    """What full simulation fixes before anything is compared: mean behaviour, bins and edges.

    curve : mean of what is judged along the energy;  log_width : ln of its spread
    least : what a mean is never below;  spread : of the energies at nine depths
    energy_bins, angle_bins : edges in GeV and rad, empty where there is one bin only
    cuts : inner bin edges of every observable, for the separation
    """

    curve: EnergyCurve
    log_width: EnergyCurve
    least: Array
    energy_bins: Array
    angle_bins: Array
    spread: Array
    cuts: list[Array]

    def bins(self) -> list[str]:
        """Name of every bin; the first is all showers."""
        energy, angle = (
            [f"{low:.3g}-{high:.3g} {unit}" for low, high in pairwise(e)]
            for e, unit in ((self.energy_bins, "GeV"), (self.angle_bins, "rad"))
        )
        return ["", *energy, *angle]


def frame_of(full: Observables, reference: Observables) -> Frame:
    """Fit the mean behaviour of all full simulation; separation is binned as the reference is."""
    wanted, gev = _judged(full), full.incident_gev
    curve, least = EnergyCurve.fit(gev, wanted), 0.1 * wanted.mean(0) + 1e-12
    judged = _relative(wanted, curve.at(gev), least)
    rest = wanted[:, 4:] - curve.at(gev)[:, 4:]
    count = min(_MAX_BINS, len(reference) // _PER_BIN)
    energy = np.unique(np.quantile(gev, np.linspace(0, 1, count + 1)))
    angle = np.empty(0)
    if np.ptp(full.theta_rad) > _TILTED:
        angle = np.unique(np.quantile(full.theta_rad, [0, 0.5, 1]))
    return Frame(
        curve,
        _log_width(gev, judged),
        least,
        energy_bins=energy if len(energy) > 2 else np.empty(0),
        angle_bins=angle if count > 1 and len(angle) > 2 else np.empty(0),
        spread=np.maximum(rest.std(0), 1e-9),
        cuts=separation_edges(reference.values),
    )


def _judged(showers: Observables) -> Array:
    """Response, radius, hits and depth of every shower, then its energy at nine depths."""
    columns = [showers.column(n) for n in ("response", "radius_mean", "hits", "depth_mean")]
    return np.column_stack([*columns, depth_shares(showers)])


def _relative(judged: Array, expected: Array, least: Array) -> Array:
    """Response, radius and hits over, and depth less, what full simulation has there: (n, 4)."""
    ratios = judged[:, :3] / np.maximum(expected[:, :3], least[:3])
    return np.column_stack([ratios, judged[:, 3] - expected[:, 3]])


def _log_width(incident_gev: Array, x: Array) -> EnergyCurve:
    """Spread of every column along the energy, as the curve of its logarithm."""
    groups = np.array_split(np.argsort(incident_gev), max(1, len(x) // _PER_GROUP))
    widths = np.array([np.log(x[rows].std(0) + 1e-6) for rows in groups])
    centres = np.exp([np.log(incident_gev[rows]).mean() for rows in groups])
    return EnergyCurve.fit(centres, widths)


def tables_of(showers: Observables, frame: Frame) -> Iterator[Table]:
    """Per-shower quantities whose means decide every statement: {key: (n, width)}, in blocks."""
    judged, gev = _judged(showers), showers.incident_gev
    expected = frame.curve.at(gev)
    every = _relative(judged, expected, frame.least)
    widths = np.exp(frame.log_width.at(gev))
    fluctuations = _fluctuations(every[:, _SPREAD], widths[:, _SPREAD], _cells(showers, frame))
    for start in range(0, len(showers), _BLOCK):
        rows = slice(start, start + _BLOCK)
        x, weight, z = every[rows], widths[rows] ** -2.0, fluctuations[rows]
        shares = (judged[rows, 4:] - expected[rows, 4:]) / frame.spread
        inside = _inside(showers.incident_gev[rows], showers.theta_rad[rows], frame)
        yield {
            "one": np.ones((len(x), 1)),
            "inside": inside,
            "weight": _each(weight, inside),
            "x": _each(x * weight, inside),
            "z": _each(z, inside),
            "zz": _each(z**2, inside),
            "depth": _normalised(showers.longitudinal[rows]),
            "radius": _normalised(showers.radial[rows]),
            "shares": shares,
            "pairs": shares[:, _PAIRS[0]] * shares[:, _PAIRS[1]],
            "squares": shares**2,
            "spectrum": showers.spectrum[rows],
            "content": _content(showers.values[rows], frame.cuts),
        }


def _fluctuations(x: Array, width: Array, cells: NDArray[np.intp]) -> Array:
    """Response over, and depth less, the showers' own mean in their cell, in spreads: (n, 2).

    About their own mean, so that a response that is off, or a shower that starts late, changes no
    width however narrow it is. The mean is of what lies within `_FURTHEST` spreads of the median.
    """
    found = np.empty_like(x)
    for cell in np.unique(cells):
        rows = cells == cell
        values, centre = x[rows], np.median(x[rows], axis=0)
        for _ in range(2):
            spread = width[rows] * [max(centre[0], 1e-12), 1.0]
            off = np.clip((values - centre) / spread, -_FURTHEST, _FURTHEST)
            centre = centre + (off * spread).mean(0)
        found[rows] = off
    return found


def _cells(showers: Observables, frame: Frame) -> NDArray[np.intp]:
    """The bin of energy and angle together that every shower lies in: (n,)."""
    energy, angle = (
        np.searchsorted(edges[1:-1], values, "right")
        for values, edges in _binned(showers.incident_gev, showers.theta_rad, frame)
    )
    found: NDArray[np.intp] = energy * max(len(frame.angle_bins), 1) + angle
    return found


def _binned(incident_gev: Array, theta_rad: Array, frame: Frame) -> list[tuple[Array, Array]]:
    return [(incident_gev, frame.energy_bins), (theta_rad, frame.angle_bins)]


def _each(values: Array, inside: Array) -> Array:
    """Every column in every bin, 0 outside: (n, columns x bins)."""
    return (values[:, :, None] * inside[:, None]).reshape(len(values), -1)


def _inside(incident_gev: Array, theta_rad: Array, frame: Frame) -> Array:
    """1 where a shower lies in a bin, else 0: (n, bins); the outermost bins are open."""
    masks = [np.ones((len(incident_gev), 1))]
    for values, edges in _binned(incident_gev, theta_rad, frame):
        if len(edges):
            place = np.searchsorted(edges[1:-1], values, "right")
            masks.append((place[:, None] == np.arange(len(edges) - 1)).astype(np.float64))
    return np.concatenate(masks, axis=1)


def _content(values: Array, cuts: list[Array]) -> Array:
    """1 in the bin of each observable that a shower is in: (n, columns x bins)."""
    bins = max(len(cut) for cut in cuts) + 1
    found = np.zeros((len(values), len(cuts), bins))
    for column, cut in enumerate(cuts):
        place = np.searchsorted(cut, values[:, column], "right")
        found[np.arange(len(values)), column, place] = 1.0
    return found.reshape(len(values), -1) / len(cuts)


def sums_of(showers: Observables, frame: Frame) -> Table:
    """What `tables_of` sums up to over all showers: {key: (1, width)}."""
    total: Table = {}
    for part in tables_of(showers, frame):
        for key, table in part.items():
            total[key] = total.get(key, 0.0) + table.sum(0, keepdims=True)
    return total


def statements(sample: Table, reference: Table) -> Table:
    """Every statement between two groups of showers: {gate: (groups, bins)}."""
    judged = (sample["inside"] >= _FEWEST) & (reference["inside"] >= _FEWEST)
    (mean, sd), (mean_r, sd_r) = _moments(sample), _moments(reference)

    def where(values: NDArray[np.float64]) -> Array:
        return np.where(judged, values, 0.0)

    def bias(i: int) -> Array:
        return where(mean[:, i] / np.maximum(mean_r[:, i], 1e-12) - 1)

    return {
        RESPONSE_GATE: bias(0),
        "log_resolution_ratio": where(np.log(sd[:, 0] / sd_r[:, 0])),
        "depth_shift_x0": where(mean[:, 3] - mean_r[:, 3]),
        "log_depth_spread_ratio": where(np.log(sd[:, 1] / sd_r[:, 1])),
        "radius_bias": bias(1),
        "hits_bias": bias(2),
        "depth_profile": _misplaced(sample["depth"], reference["depth"]),
        "radial_profile": _misplaced(sample["radius"], reference["radius"]),
        "layer_correlation": _decorrelation(sample, reference),
        "cell_spectrum": _misplaced(sample["spectrum"], reference["spectrum"]),
        "separation_mean": _separation(sample, reference),
    }


def _moments(sums: Table) -> tuple[Array, Array]:
    """Weighted mean of what is judged: (groups, 4, bins); spread of response and depth: 2 for 4.

    Spreads are in units of full simulation's. At all energies they are those within the bins: a
    bias that changes with energy is no spread.
    """
    inside = np.maximum(sums["inside"][:, None], 1.0)
    weight, x, z, zz = (
        sums[key].reshape(len(inside), -1, inside.shape[2]) for key in ("weight", "x", "z", "zz")
    )
    variance = zz / inside - (z / inside) ** 2
    if inside.shape[2] > 1:
        share = sums["inside"][:, None, 1:]
        variance[:, :, 0] = (variance[:, :, 1:] * share).sum(2) / share.sum(2)
    return x / np.maximum(weight, 1e-12), np.sqrt(np.maximum(variance, 1e-18))


def _misplaced(one: Array, other: Array) -> Array:
    """Half the summed difference of two histograms' shares: what would have to move."""
    found: Array = 0.5 * np.abs(_normalised(one) - _normalised(other)).sum(1, keepdims=True)
    return found


def _decorrelation(sample: Table, reference: Table) -> Array:
    """Root mean square difference of the correlations between depths."""
    change = _correlations(sample) - _correlations(reference)
    found: Array = np.sqrt((change**2).mean(1, keepdims=True))
    return found


def _correlations(sums: Table) -> Array:
    mean, pairs, squares = (sums[key] / sums["one"] for key in ("shares", "pairs", "squares"))
    sd = np.sqrt(np.maximum(squares - mean**2, 1e-12))
    i, j = _PAIRS
    found: Array = (pairs - mean[:, i] * mean[:, j]) / (sd[:, i] * sd[:, j])
    return found


def _separation(sample: Table, reference: Table) -> Array:
    """`separation_mean`, from the share of showers in each bin of each observable."""
    h1, h2 = (sums["content"] / sums["one"] for sums in (sample, reference))
    found: Array = 0.5 * ((h1 - h2) ** 2 / (h1 + h2 + 1e-16)).sum(1, keepdims=True)
    return found


def _normalised(table: Array) -> Array:
    found: Array = table / np.maximum(table.sum(1, keepdims=True), 1e-12)
    return found
