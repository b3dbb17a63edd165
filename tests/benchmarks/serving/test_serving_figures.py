"""The figures of `catalog bench serving` are what their names say."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.serving import FULL
from benchmarks.serving.load import Figures, middle, percentile
from benchmarks.serving.processes import Process, cpu_seconds, descendants
from benchmarks.serving.report import Pair, against_raw, figures


@pytest.mark.parametrize(
    ("count", "share", "wanted"),
    [(1, 0.99, 1), (2, 0.99, 2), (100, 0.99, 99), (101, 0.99, 100), (1000, 0.5, 500), (4, 0, 1)],
)
def test_a_percentile_is_the_nearest_rank_in_any_order(count, share, wanted) -> None:
    values = list(range(1, count + 1))
    assert percentile(values, share) == percentile(values[::-1], share) == wanted


def test_each_figure_has_a_median_of_its_own() -> None:
    rounds = [Figures(1, 30, 200), Figures(2, 10, 300), Figures(9, 20, 100)]
    assert middle(rounds) == Figures(2, 20, 200)


def test_a_name_with_brackets_and_spaces_does_not_shift_the_numbers() -> None:
    fields = ["S", "7", *"abcdefghi", "10", "20", "3", "4", *"jklm", "555", "rest"]
    found = Process.parse(f"42 (a) (b c) {' '.join(fields)}")
    assert found == Process(42, 7, 555, 37)


def test_a_tree_holds_grandchildren_and_no_stranger() -> None:
    table = [Process(it, parent, 0, 0) for it, parent in ((5, 4), (4, 1), (1, 0), (9, 2), (2, 0))]
    assert {it.pid for it in descendants(table, 1)} == {1, 4, 5}
    assert descendants(table, 77) == []


def _work(seconds: float, ready, leave) -> None:
    while time.process_time() < seconds:
        pass
    ready.set()
    leave.wait(60)


@contextmanager
def _busy(seconds: float) -> Iterator[tuple]:
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    child = context.Process(target=_work, args=(seconds, ready, leave))
    child.start()
    ready.wait(60)
    try:
        yield child, leave
    finally:
        leave.set()
        child.join()


def test_time_of_children_counts_while_they_run_and_when_they_have_ended() -> None:
    before = cpu_seconds(os.getpid())
    with _busy(0.5) as (child, leave):
        assert cpu_seconds(child.pid) >= 0.45
        assert cpu_seconds(os.getpid()) - before >= 0.45
        leave.set()
        child.join()
        assert cpu_seconds(os.getpid()) - before >= 0.45
        assert cpu_seconds(child.pid) == 0


def pair(peer: str, ours: float, theirs: float, clients: int = 32, **more) -> Pair:
    sides = (Figures(ours, 1.0, 50.0), Figures(theirs, more.pop("p99", 2.0), 25.0))
    protocol, yardstick = more.pop("protocol", "http"), more.pop("yardstick", False)
    return Pair(protocol, "mlp", clients, peer, yardstick, *sides)


def test_the_least_ratio_is_among_rivals_of_the_same_protocol() -> None:
    found = figures([
        pair("slow", 100, 10), pair("fast", 100, 25), pair("alone", 100, 80, clients=1),
        pair("floor", 100, 400, yardstick=True), pair("slow", 90, 30, protocol="grpc"),
    ])  # fmt: skip
    assert (found["best_peer_ratio_min"], found["best_peer_ratio_min_loaded"]) == (1.25, 4.0)
    assert found["best_peer_ratio_min_at"] == "http/mlp/1/alone"
    assert found["best_peer_ratio_min_grpc"] == 3.0
    assert found["http"]["mlp"]["32"]["floor"]["ours_times"] == 0.25


def test_our_own_row_is_the_median_over_all_that_it_was_measured_beside() -> None:
    found = figures([pair("a", 100, 10), pair("b", 300, 10), pair("c", 140, 10)])
    assert found["http"]["mlp"]["32"]["ours"]["requests_per_s"] == 140


def test_a_tail_that_is_not_shorter_is_told() -> None:
    found = figures([pair("a", 9, 1, p99=1.0), pair("b", 9, 1, p99=1.1)])
    assert found["p99_not_lower"] == ["http/mlp/32/a"]


def test_processor_time_is_compared_with_the_bare_server_of_the_same_model() -> None:
    assert figures([pair("asgi-onnxruntime", 1, 1)])["cpu_to_asgi_c32"] == {"mlp": 2.0}
    assert figures([pair("asgi", 1, 1)])["cpu_to_asgi_c32"] == {}


def test_without_rivals_there_is_no_ratio() -> None:
    assert "best_peer_ratio_min" not in figures([pair("floor", 1, 1, yardstick=True)])


def test_rounds_are_compared_with_their_own_neighbour() -> None:
    found = against_raw([10, 20, 60], [10, 25, 50])
    assert found["gen3d_b32_vs_raw"] == 1.0
    assert (found["gen3d_b32_vs_raw_low"], found["gen3d_b32_vs_raw_high"]) == (0.8, 1.2)


def test_a_slow_server_is_asked_a_number_of_times_and_a_fast_one_for_a_time() -> None:
    assert FULL.much(32, 58) == "-n320"
    assert FULL.much(32, 10_000) == "-D1500ms"
