"""What a physicist asks of a fast simulation, judged beside what full simulation itself does.

Every gate is one physical statement with a tolerance (`TOLERANCES`), made at all energies together
and in bins of energy (and of angle, where it varies). Its limit is the tolerance plus what n
showers cannot tell: the full simulation is split into random halves, the same statement is measured
between them, and the limit is wide enough that all gates together pass for `CONFIDENCE` of those
splits. So the allowance depends on the full simulation and on n, never on the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from catalog.physics.observables import Observables, join
from catalog.physics.statements import (
    RESPONSE_GATE,
    Frame,
    Table,
    frame_of,
    statements,
    sums_of,
    tables_of,
)

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


def gates(sample: Observables, reference: Observables, floor: Floor) -> tuple[Gate, ...]:
    """Judge a sample beside full simulation; each gate where it is nearest to failing."""
    values = statements(*(sums_of(showers, floor.frame) for showers in (sample, reference)))
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
    full = join([replace(part, cells=part.cells[:0]) for part in (twin, reference)])
    frame = frame_of(full, reference)
    rng = np.random.default_rng(seed)
    one: Table = {}
    total: Table = {}
    for part in tables_of(full, frame):
        chosen = (rng.random((_SPLITS, len(part["one"]))) < 0.5).astype(np.float64)
        for key, table in part.items():
            one[key] = one.get(key, 0.0) + chosen @ table
            total[key] = total.get(key, 0.0) + table.sum(0)
    halves = (one, {key: total[key] - one[key] for key in one})
    found = statements(*halves)
    errors = {name: np.maximum(x.std(0), 1e-9) for name, x in found.items()}
    signed = list(TOLERANCES)[:_SIGNED]
    centres = {n: np.zeros(x.shape[1]) if n in signed else x.mean(0) for n, x in found.items()}
    off = [np.abs(x - centres[n]) if n in signed else x - centres[n] for n, x in found.items()]
    size = np.concatenate([x / errors[n] for x, n in zip(off, found, strict=True)], axis=1)
    factor = float(np.quantile(size.max(1), CONFIDENCE, method="higher"))
    return Floor(frame, 0.5 * len(full), errors, centres, factor)
