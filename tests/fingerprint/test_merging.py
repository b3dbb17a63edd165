"""Fingerprints of parts are those of the whole, to the last bit, in any order and unit."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import UsageError
from catalog.fingerprint import fingerprint, merge
from catalog.fingerprint import fingerprint as take
from catalog.fingerprint.axes import AXES, CELLS, ENERGY_EDGES, LEVELS, NAMES, RECORDED
from catalog.fingerprint.histograms import added, empty, histograms
from catalog.fingerprint.sums import MAX_SHOWERS, summary
from catalog.physics.columns import recorded_columns
from catalog.physics.observables import observe
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.showers.showerfile import open_showers
from tests.fingerprint.makers import observables, taken
from tests.toys import shower_file, shower_set

DATA = Path(__file__).parents[2] / "sample_models" / "data"
LEVEL = st.integers(0, LEVELS - 1)


@pytest.fixture(scope="module")
def pbwo4() -> ShowerSet:
    return read_showers(DATA / "pbwo4-electron.h5")


def test_the_axes_are_the_recorded_observables_in_their_order() -> None:
    columns = recorded_columns(np.ones((1, 25, 8, 5)), np.ones(1))
    assert NAMES[:RECORDED] == tuple(columns)
    assert list(AXES)[RECORDED:] == ["shower_max_x0"]


@pytest.mark.parametrize("cut", [1, 37, 500, 999])
def test_two_parts_of_full_simulation_merge_into_the_whole(pbwo4: ShowerSet, cut: int) -> None:
    whole = fingerprint(pbwo4)
    parts = [fingerprint(pbwo4.part(0, cut)), fingerprint(pbwo4.part(cut))]
    assert merge(parts).digest == merge(reversed(parts)).digest == whole.digest


def test_merging_is_associative_and_any_order_gives_the_same() -> None:
    parts = [taken(n, seed, spread=0.01 * 4**seed) for seed, n in enumerate((1, 5, 300, 2, 70))]
    left = merge(parts)
    right = merge([parts[0], merge([parts[1], merge(parts[2:])])])
    assert left.digest == right.digest == merge(parts[::-1]).digest
    assert len(left) == sum(map(len, parts))


@given(st.lists(st.lists(LEVEL, min_size=1, max_size=6), min_size=1, max_size=6))
@settings(deadline=None)
def test_histograms_of_parts_are_those_of_the_whole(parts: list[list[int]]) -> None:
    tables = [np.array(part)[:, None] for part in parts]
    whole = histograms(np.concatenate(tables))
    for order in (tables, tables[::-1]):
        found = reduce(added, map(histograms, order), empty(1))
        assert all((a == b).all() for a, b in zip(found, whole, strict=True))


@given(st.lists(LEVEL, min_size=1, max_size=50))
@settings(deadline=None)
def test_a_cell_is_at_most_two_fifteenths_of_the_range_or_one_level(levels: list[int]) -> None:
    found = histograms(np.array(levels)[:, None])
    width = int(1 << found.shift[0])
    assert width == 1 or width <= 2 / (CELLS - 1) * (max(levels) - min(levels))
    assert found.counts[0, 0] > 0
    cells = (np.array(levels) >> found.shift[0]) - found.first[0]
    assert (np.bincount(cells, minlength=CELLS) == found.counts[0]).all()


def test_moments_are_those_of_the_showers_to_a_level(pbwo4: ShowerSet) -> None:
    seen, found = observe(pbwo4), fingerprint(pbwo4)
    step = np.array([(high - low) / LEVELS for low, high in AXES.values()])[:RECORDED]
    for e in np.flatnonzero(found.n[:, 0]):
        rows = (seen.incident_gev >= ENERGY_EDGES[e]) & (seen.incident_gev < ENERGY_EDGES[e + 1])
        assert rows.sum() == found.n[e, 0]
        values = seen.values[rows]
        assert (np.abs(found.mean[e, 0, :RECORDED] - values.mean(0)) < step).all()
        assert (np.abs(found.sd[e, 0, :RECORDED] - values.std(0)) < step).all()


@pytest.mark.parametrize("chunk", [7, 64])
def test_a_file_read_in_chunks_has_the_same_fingerprint(tmp_path: Path, chunk: int) -> None:
    path = shower_file(tmp_path / "f.h5", n=150)
    assert (
        fingerprint(open_showers(path, chunk=chunk)).digest
        == fingerprint(read_showers(path)).digest
    )


def test_mev_and_gev_files_of_the_same_showers_agree(tmp_path: Path) -> None:
    mev = shower_file(tmp_path / "mev.h5", n=300)
    with h5py.File(mev) as source, h5py.File(tmp_path / "gev.h5", "w") as file:
        file.attrs.update(source.attrs)
        for name in ("showers", "incident_energies"):
            file[name] = source[name][:].astype(np.float64) / 1000
            file[name].attrs["unit"] = "GeV"
    one, other = (fingerprint(read_showers(tmp_path / f"{u}.h5")) for u in ("mev", "gev"))
    assert (one.n == other.n).all()
    # A value next to the edge of a level may be rounded to either side of it: one in a million.
    moved = np.abs(one.sums - other.sums).sum()
    assert moved <= 2


def test_one_shower_is_its_own_mean(tmp_path: Path) -> None:
    one = shower_set(tmp_path / "f.h5", n=60).part(0, 1)
    found = fingerprint(one)
    assert len(found) == 1
    assert np.nanmax(found.sd) == 0
    assert found.cells.counts.max() == 1


def test_energies_beyond_all_bins_are_counted_but_left_out() -> None:
    seen = observables(50)
    seen.incident_gev[:3] = [0.01, 20_000, ENERGY_EDGES[-1]]
    found = summary(seen)
    assert (found.outside, len(found)) == (2, 48)
    assert merge([found, found]).outside == 4


def test_no_shower_within_the_bins_is_refused(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5")
    for none in (
        showers.part(0, 0),
        ShowerSet(**{**vars(showers), "incident_gev": np.full(60, 2e4)}),
    ):
        with pytest.raises(UsageError, match="none to take a fingerprint of"):
            take(none)


def test_sparse_bins_are_left_out_where_asked(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5", n=60)
    whole, least = take(showers), int(np.sort(take(showers).n[take(showers).n > 0])[1])
    found = take(showers, least)
    assert 0 < len(found) < len(whole)
    assert (found.n == np.where(whole.n >= least, whole.n, 0)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused_by_name(value: float) -> None:
    seen = observables(5)
    seen.values[2, NAMES.index("depth_rms")] = value
    with pytest.raises(UsageError, match=r"^depth_rms: not finite"):
        summary(seen)


def test_values_beyond_their_axis_count_at_its_end() -> None:
    seen = observables(5)
    seen.values[:, NAMES.index("response")] = 1e9
    found = summary(seen)
    assert np.nanmax(found.mean[..., NAMES.index("response")]) == pytest.approx(4, abs=1e-3)


def test_an_unknown_sampling_fraction_is_remembered(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5", n=60)
    unknown = showers.detector.model_copy(update={"sampling_fraction": None})
    found = take(showers.of(unknown))
    assert found.own_scale == 60
    mean = (found.mean[..., 0] * found.n)[found.n > 0].sum() / 60
    assert mean == pytest.approx(1, abs=0.02)
    assert take(showers).own_scale == 0


def test_more_showers_than_a_fingerprint_holds_are_refused() -> None:
    half = taken(100)
    half.n[0, 0] = MAX_SHOWERS // 2
    with pytest.raises(UsageError, match="at most 10,000,000 showers"):
        merge([half, half, half])
    with pytest.raises(UsageError, match="nothing to merge"):
        merge([])
