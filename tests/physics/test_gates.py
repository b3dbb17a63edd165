"""Gates: full simulation passes, planted defects do not, and the allowance is fair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.physics import DEFECTS
from catalog.physics.distances import separation_mean
from catalog.physics.gates import TOLERANCES, Floor, Gate, floor_of, gates
from catalog.physics.observables import Observables, observe
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers

DATA = Path(__file__).parents[2] / "sample_models" / "data"
# Any of these says it; which one fails first depends on the showers that were drawn.
NAMED = {
    "response_5_percent": {"response_bias"},
    "response_10_percent_at_one_energy": {"response_bias"},
    "resolution_50_percent_wider": {"log_resolution_ratio"},
    "radius_10_percent_wider": {"radius_bias", "radial_profile"},
    "one_layer_deeper": {"depth_shift_x0", "depth_profile"},
    "layers_shuffled": {"depth_profile"},
    "layers_mixed_between_showers": {"layer_correlation", "log_depth_spread_ratio"},
}


@pytest.fixture(scope="module")
def showers() -> ShowerSet:
    return read_showers(DATA / "par04-siw-electron.h5")


@pytest.fixture(scope="module")
def full(showers: ShowerSet) -> Observables:
    return observe(showers)


def _rows(n: int, seed: int, of: int) -> list[np.ndarray]:
    order = np.random.default_rng(seed).permutation(of)
    return [order[i * n : (i + 1) * n] for i in range(3)]


def _judge(sample: Observables, full: Observables, n: int, seed: int = 0) -> tuple[Gate, ...]:
    rows, twin, reference = _rows(n, seed, len(full))
    wanted = full.select(reference)
    return gates(sample.select(rows), wanted, floor_of(full.select(twin), wanted))


def _failed(found: tuple[Gate, ...]) -> set[str]:
    return {gate.name for gate in found if not gate.passed}


@pytest.mark.parametrize("n", [60, 500])
def test_full_simulation_passes_beside_itself(full: Observables, n: int) -> None:
    """0.95 is asked of a hundred trials; the benchmark makes them."""
    passed = [not _failed(_judge(full, full, n, seed)) for seed in range(20)]
    assert sum(passed) >= 18


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_fails_the_gate_that_names_it(
    showers: ShowerSet, full: Observables, defect: str
) -> None:
    wrong = observe(DEFECTS[defect](showers))
    for seed in range(3):
        assert _failed(_judge(wrong, full, 500, seed)) & NAMED[defect]


def test_a_response_wrong_at_one_energy_is_found_where_it_is(full: Observables) -> None:
    """Right on average, a fifth too low between 4 and 8 GeV."""
    low = (full.incident_gev > 4) & (full.incident_gev < 8)
    factor = np.where(low, 0.8, 1 + 0.2 * low.mean() / (1 - low.mean()))
    values = full.values.copy()
    values[:, 0] *= factor
    found = {g.name: g for g in _judge(replace(full, values=values), full, 500)}
    gate = found["response_bias"]
    assert not gate.passed and gate.value < 0
    lowest, highest = map(float, gate.bin.removesuffix(" GeV").split("-"))
    assert lowest < 8 and highest > 4


def test_limits_shrink_with_more_showers_to_the_tolerance(full: Observables) -> None:
    few, many = (
        floor_of(full.select(slice(0, n)), full.select(slice(n, 2 * n))) for n in (60, 800)
    )
    half = full.select(slice(0, 800))
    for name, tolerance in TOLERANCES.items():
        wide, tight = (_limit(floor, half, name) for floor in (few, many))
        assert tolerance < tight < wide, name


def _limit(floor: Floor, showers: Observables, name: str) -> float:
    """The limit at all energies, for two sets of the floor's own size."""
    same = showers.select(slice(0, int(floor.n)))
    assert all(gate.passed for gate in gates(same, same, floor))
    return TOLERANCES[name] + floor.centres[name][0] + floor.factor * floor.errors[name][0]


def test_a_noisy_model_cannot_widen_its_own_limits(full: Observables) -> None:
    """The same gate in the same bin has the same limit, whatever is judged."""
    rng = np.random.default_rng(1)
    values = full.values * rng.lognormal(0, 0.5, full.values.shape)
    noisy = _judge(replace(full, values=values), full, 500)
    limits = {(g.name, g.bin): g.limit for g in _judge(full, full, 500)}
    shared = [gate for gate in noisy if (gate.name, gate.bin) in limits]
    assert shared and all(g.limit == limits[g.name, g.bin] for g in shared)
    assert "log_resolution_ratio" in _failed(noisy)


def test_a_sample_without_fluctuations_fails(full: Observables) -> None:
    """A collapsed generator: every shower is the mean of its neighbours in energy."""
    order = np.argsort(full.incident_gev)
    values, shares = full.values.copy(), full.longitudinal.copy()
    for rows in np.array_split(order, len(order) // 40):
        values[rows], shares[rows] = values[rows].mean(0), shares[rows].mean(0)
    found = _failed(_judge(replace(full, values=values, longitudinal=shares), full, 500))
    assert {"log_resolution_ratio", "log_depth_spread_ratio"} <= found


@pytest.mark.parametrize("width", [None, 0.003])
@pytest.mark.parametrize("times", [0.02, 0.9, 1.05, 3.0])
def test_a_scaled_response_has_the_same_relative_width(
    full: Observables, times: float, width: float | None
) -> None:
    """Of a sampling calorimeter, and of a homogeneous one that 5 % is many spreads of."""
    values = full.values.copy()
    if width is not None:
        values[:, 0] = np.random.default_rng(3).normal(1, width, len(values))
    right = replace(full, values=values)
    scaled = replace(right, values=values * np.r_[times, np.ones(values.shape[1] - 1)])
    found, wanted = (_value(_judge(s, right, 500), "log_resolution_ratio") for s in (scaled, right))
    assert found == pytest.approx(wanted, abs=1e-6) and abs(wanted) < 0.25


def test_a_bias_that_differs_by_angle_is_no_resolution(full: Observables) -> None:
    rng = np.random.default_rng(3)
    values = full.values.copy()
    values[:, 0] = rng.normal(1, 0.003, len(values))
    right = replace(full, values=values, theta_rad=rng.uniform(0, 0.6, len(full)))
    off = values.copy()
    off[:, 0] *= np.where(right.theta_rad > 0.3, 1.05, 0.95)
    failed = _failed(_judge(replace(right, values=off), right, 500))
    assert "response_bias" in failed and "log_resolution_ratio" not in failed


def test_showers_that_start_late_have_the_same_depth_spread(full: Observables) -> None:
    values = full.values.copy()
    values[:, full.names.index("depth_mean")] += 5.0
    late, right = _judge(replace(full, values=values), full, 500), _judge(full, full, 500)
    name = "log_depth_spread_ratio"
    assert _value(late, name) == pytest.approx(_value(right, name), abs=1e-6)
    assert "depth_shift_x0" in _failed(late)


def _value(found: tuple[Gate, ...], name: str) -> float:
    return next(gate.value for gate in found if gate.name == name)


def test_the_separation_gate_is_the_metric(full: Observables) -> None:
    rows, _, reference = _rows(300, 0, len(full))
    gate = next(g for g in _judge(full, full, 300) if g.name == "separation_mean")
    wanted = separation_mean(full.values[rows], full.values[reference])
    assert gate.value == pytest.approx(wanted, rel=1e-6)


def test_angles_have_bins_of_their_own_where_they_vary(full: Observables) -> None:
    rng = np.random.default_rng(2)
    tilted = replace(full, theta_rad=rng.uniform(0, 0.6, len(full)))
    values = tilted.values.copy()
    values[:, 0] *= np.where(tilted.theta_rad > 0.3, 1.08, 0.92)
    found = {g.name: g for g in _judge(replace(tilted, values=values), tilted, 500)}
    assert found["response_bias"].bin.endswith(" rad") and not found["response_bias"].passed


def test_one_energy_and_few_showers_are_judged_as_a_whole(full: Observables) -> None:
    one = replace(full, incident_gev=np.full(len(full), 10.0))
    assert {gate.bin for gate in _judge(one, one, 500)} == {""}
    assert {gate.bin for gate in _judge(full, full, 20)} == {""}


def test_other_numbers_of_showers_scale_the_allowance(full: Observables) -> None:
    """A floor measured with 250 a side serves a comparison of 500 with 500, and the reverse."""
    small, large = (
        floor_of(full.select(slice(0, n)), full.select(slice(n, 2 * n))) for n in (250, 500)
    )
    one, other = full.select(slice(0, 500)), full.select(slice(1000, 1500))
    for found, wanted in zip(gates(one, other, small), gates(one, other, large), strict=True):
        if found.bin == wanted.bin:
            assert found.limit == pytest.approx(wanted.limit, rel=0.25), found.name
