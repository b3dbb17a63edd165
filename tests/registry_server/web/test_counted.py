"""Counts that were slow to make are kept for a while, and only those."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.index import Query
from registry_server.web import counted
from registry_server.web.counted import Counted


class Index:
    """Counts how often it is asked; each time takes `seconds` of the clock."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds, self.asked = clock, seconds, 0

    def facets(self, query: Query, technology: str) -> Any:
        self.asked += 1
        self.clock[0] += self.seconds
        return (query, technology, self.asked)


@pytest.mark.parametrize(("seconds", "kept"), [(0.001, False), (1.0, True)])
def test_only_slow_counts_are_kept_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, seconds: float, kept: bool
) -> None:
    clock = [100.0]
    monkeypatch.setattr(counted.time, "monotonic", lambda: clock[0])
    index, counts = Index(clock, seconds), Counted()
    first = counts.facets(index, Query(), "")
    assert (counts.facets(index, Query(), "") == first) == kept
    assert counts.facets(index, Query(text="other"), "")[0].text == "other"
    before = index.asked
    clock[0] += 31
    counts.facets(index, Query(), "")
    assert index.asked == before + 1


def test_of_many_questions_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(counted.time, "monotonic", lambda: clock[0])
    index, counts = Index(clock, 0.06), Counted()
    for number in range(counted._MOST + 1):
        counts.facets(index, Query(text=str(number)), "")
    assert len(counts._kept) == counted._MOST
    asked = index.asked
    counts.facets(index, Query(text=str(counted._MOST)), "")
    assert index.asked == asked
