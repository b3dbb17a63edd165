"""What a physicist asks of a fast simulation, judged beside what full simulation itself does.

Every gate is one physical statement with a tolerance (`TOLERANCES`), made at all energies together
and in bins of energy (and of angle, where it varies). Its limit is the tolerance plus what n
showers cannot tell: the full simulation is split into random halves, the same statement is measured
between them, and the limit is wide enough that all gates together pass for `CONFIDENCE` of those
splits. So the allowance depends on the full simulation and on n, never on the model.
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
from catalog.physics.observables import Array, Observables, join

RESPONSE_GATE = "response_bias"
# Signed statements are compared in size; the others are distances of 0 or more.
TOLERANCES = {
    RESPONSE_GATE: 0.02,  # mean response, relative
    "log_resolution_ratio": 0.10,  # ln of the response's relative width over full simulation's
    "depth_shift_x0": 0.15,  # mean depth, X0
    "log_depth_spread_ratio": 0.15,  # ln of the mean depth's spread over full simulation's
    "radius_bias": 0.02,  # mean radius, relative
    "hits_bias": 0.05,  # voxels hit, relative
    "depth_profile": 0.03,  # share of the energy at the wrong depth
    "radial_profile": 0.015,  # share of the energy at the wrong radius
    "layer_correlation": 0.10,  # rms difference of the correlations between depths
    "cell_spectrum": 0.03,  # share of the hits at the wrong energy
    "separation_mean": 0.02,  # mean separation power of the observables
}
CONFIDENCE = 0.98
_SIGNED = 6  # the first of them
_QUADRATIC = frozenset({"separation_mean"})  # falls as 1 / n at the floor, the others as its root
_SPLITS = 400
_PER_BIN, _MAX_BINS, _FEWEST = 60, 6, 10
_PER_GROUP = 40  # showers that tell a spread
_FURTHEST = 4.0  # spreads; what lies further counts as that far, in resolution and depth spread
_TILTED = 0.05  # rad; a smaller range of angles is one angle
_BLOCK = 4096  # showers whose table is held at once
_PAIRS = np.triu_indices(len(DEPTH_GROUPS), 1)

Table = dict[str, Array]


@dataclass(frozen=True)
class Gate:
    """One physics requirement: |value| must not exceed limit.

    error : one standard deviation of the value between two halves of full simulation
    tolerance : the part of the limit that does not shrink with more showers
    bin : where the value is the worst against its limit; "" at all energies together
    """

    name: str
    value: float
    limit: float
    error: float = 0.0
    tolerance: float = 0.0
    bin: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is within the limit."""
        return abs(self.value) <= self.limit


@dataclass(frozen=True)
class Floor:
    """What full simulation does beside itself: the allowance of every statement.

    n : showers in each half;  errors, centres : {gate: (bins,)};  factor : errors allowed
    """

    frame: Frame
    n: float
    errors: Table
    centres: Table
    factor: float


@dataclass(frozen=True)
class Frame:
    """What full simulation fixes before anything is compared: mean behaviour, bins and edges."""

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


def gates(sample: Observables, reference: Observables, floor: Floor) -> tuple[Gate, ...]:
    """Judge a sample beside full simulation; each gate where it is nearest to failing."""
    values = _statistics(*(_means(showers, floor.frame) for showers in (sample, reference)))
    scale = 0.5 * floor.n * (1 / len(sample) + 1 / len(reference))
    names = floor.frame.bins()
    found = []
    for name, tolerance in TOLERANCES.items():
        shrink = scale if name in _QUADRATIC else np.sqrt(scale)
        error = shrink * floor.errors[name]
        limit = tolerance + shrink * floor.centres[name] + floor.factor * error
        worst = int(np.argmax(np.abs(values[name][0]) / limit))
        value = float(values[name][0, worst])
        where = names[worst] if len(limit) > 1 else ""
        found.append(Gate(name, value, float(limit[worst]), float(error[worst]), tolerance, where))
    return tuple(found)


def floor_of(twin: Observables, reference: Observables, seed: int = 0) -> Floor:
    """Measure every statement between random halves of full simulation."""
    full = join([twin, reference])
    frame = _frame(full, reference)
    rng = np.random.default_rng(seed)
    one: Table = {}
    total: Table = {}
    for part in _tables(full, frame):
        chosen = (rng.random((_SPLITS, len(part["one"]))) < 0.5).astype(np.float64)
        for key, table in part.items():
            one[key] = one.get(key, 0.0) + chosen @ table
            total[key] = total.get(key, 0.0) + table.sum(0)
    halves = (one, {key: total[key] - one[key] for key in one})
    found = _statistics(*halves)
    errors = {name: np.maximum(x.std(0), 1e-9) for name, x in found.items()}
    signed = list(TOLERANCES)[:_SIGNED]
    centres = {n: np.zeros(x.shape[1]) if n in signed else x.mean(0) for n, x in found.items()}
    off = [np.abs(x - centres[n]) if n in signed else x - centres[n] for n, x in found.items()]
    size = np.concatenate([x / errors[n] for x, n in zip(off, found, strict=True)], axis=1)
    factor = float(np.quantile(size.max(1), CONFIDENCE, method="higher"))
    return Floor(frame, 0.5 * len(full), errors, centres, factor)


def _frame(full: Observables, reference: Observables) -> Frame:
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


def _tables(showers: Observables, frame: Frame) -> Iterator[Table]:
    """Per-shower quantities whose means decide every statement: {key: (n, width)}, in blocks."""
    every = _judged(showers)
    for start in range(0, len(showers), _BLOCK):
        rows = slice(start, start + _BLOCK)
        expected = frame.curve.at(showers.incident_gev[rows])
        judged = every[rows]
        x = _relative(judged, expected, frame.least)
        width = np.exp(frame.log_width.at(showers.incident_gev[rows]))
        z = np.clip((x - [1, 1, 1, 0]) / width, -_FURTHEST, _FURTHEST)
        shares = (judged[:, 4:] - expected[:, 4:]) / frame.spread
        inside = _inside(showers.incident_gev[rows], showers.theta_rad[rows], frame)
        yield {
            "one": np.ones((len(x), 1)),
            "inside": inside,
            "weight": _each(width**-2.0, inside),
            "x": _each(x * width**-2.0, inside),
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


def _each(values: Array, inside: Array) -> Array:
    """Every column in every bin, 0 outside: (n, columns x bins)."""
    return (values[:, :, None] * inside[:, None]).reshape(len(values), -1)


def _inside(incident_gev: Array, theta_rad: Array, frame: Frame) -> Array:
    """1 where a shower lies in a bin, else 0: (n, bins); the outermost bins are open."""
    masks = [np.ones((len(incident_gev), 1))]
    for values, edges in ((incident_gev, frame.energy_bins), (theta_rad, frame.angle_bins)):
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


def _means(showers: Observables, frame: Frame) -> Table:
    """Sums over all showers of a set: {key: (1, width)}."""
    total: Table = {}
    for part in _tables(showers, frame):
        for key, table in part.items():
            total[key] = total.get(key, 0.0) + table.sum(0, keepdims=True)
    return total


def _statistics(sample: Table, reference: Table) -> Table:
    """Every statement between two groups of showers: {gate: (groups, bins)}."""
    judged = (sample["inside"] >= _FEWEST) & (reference["inside"] >= _FEWEST)
    (mean, sd), (mean_r, sd_r) = _moments(sample), _moments(reference)

    def where(values: NDArray[np.float64]) -> Array:
        return np.where(judged, values, 0.0)

    def bias(i: int) -> Array:
        return where(mean[:, i] / np.maximum(mean_r[:, i], 1e-12) - 1)

    relative = sd[:, 0] / np.maximum(mean[:, 0], 1e-9)
    relative_r = sd_r[:, 0] / np.maximum(mean_r[:, 0], 1e-9)
    return {
        RESPONSE_GATE: bias(0),
        "log_resolution_ratio": where(np.log(relative / relative_r)),
        "depth_shift_x0": where(mean[:, 3] - mean_r[:, 3]),
        "log_depth_spread_ratio": where(np.log(sd[:, 3] / sd_r[:, 3])),
        "radius_bias": bias(1),
        "hits_bias": bias(2),
        "depth_profile": _misplaced(sample["depth"], reference["depth"]),
        "radial_profile": _misplaced(sample["radius"], reference["radius"]),
        "layer_correlation": _decorrelation(sample, reference),
        "cell_spectrum": _misplaced(sample["spectrum"], reference["spectrum"]),
        "separation_mean": _separation(sample, reference),
    }


def _moments(sums: Table) -> tuple[Array, Array]:
    """Weighted mean, and spread in units of full simulation's: (groups, 4, bins) each.

    The spread at all energies is the one within the bins: a bias that changes with energy is no
    spread.
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
