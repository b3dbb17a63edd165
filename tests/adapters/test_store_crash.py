"""Publishers that are killed, crowds of them, and flipped bits, at each kind of store.

Nothing torn is ever visible, nothing acknowledged is lost, numbers are dense, all can be run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.importorskip("mlflow")
pytest.importorskip("oci")
from tests.adapters.crash_loop import (
    KINDS,
    Acknowledged,
    Place,
    flips,
    kills,
    look,
    race,
    running_place,
)
from tests.adapters.crash_points import POINTS

_SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
_TELLING = [
    *(
        ("mlflow", it)
        for it in ("half model.onnx", "inside create_model_version", "before set_tag")
    ),
    *(("mlflow", it) for it in ("after put manifest.json", "after create_model_version")),
    *(("oci", it) for it in POINTS["oci"]),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """Each kind is started when it is first asked for, and stays until the module ends."""
    with ExitStack() as stack:

        class Places(dict):
            def __missing__(self, kind: str) -> Place:
                folder = tmp_path_factory.mktemp(kind)
                self[kind] = stack.enter_context(running_place(kind, folder))
                return self[kind]

        yield Places()


@pytest.mark.parametrize(("kind", "point"), _TELLING)
def test_a_publish_that_is_killed_there_can_be_run_again(
    places: dict[str, Place], kind: str, point: str
) -> None:
    place, known = places[kind], Acknowledged(point.replace(" ", "-"))
    row: dict[str, Any] = {"failed": []}
    assert place.publisher.publish(known.name, 1, point) == {"killed": point}
    assert look(place.open(), known)["torn"] == 0
    # Somebody else publishes before the one that died comes back.
    assert known.add(place.publisher.publish(known.name, 2), row), row
    assert known.add(place.publisher.publish(known.name, 1), row), row
    assert look(place.open(), known, again=True) == {
        "visible": 2,
        "torn": 0,
        "lost": 0,
        "dense": True,
    }


@pytest.mark.parametrize("kind", _SLOW)
def test_a_hundred_kills_tear_and_lose_nothing(places: dict[str, Place], kind: str) -> None:
    rows = list(kills(places[kind], 100, seed="test"))
    assert {row["how"] for row in rows} > set(POINTS[kind])
    bad = [
        row for row in rows
        if row["torn"] or row["lost"] or not row["dense"] or not row["again"] or row["failed"]
    ]  # fmt: skip
    assert (len(rows), bad) == (100, [])


@pytest.mark.parametrize("kind", _SLOW)
def test_eight_processes_that_publish_one_model_number_densely(
    places: dict[str, Place], kind: str
) -> None:
    row = race(places[kind], "crowd", processes=8, each=10)
    assert row["failed"] == []
    assert (row["visible"], row["torn"], row["lost"], row["dense"]) == (80, 0, 0, True)


@pytest.mark.parametrize("kind", _SLOW)
def test_every_flipped_bit_is_found_by_verify_and_by_pull(
    places: dict[str, Place], kind: str
) -> None:
    assert flips(places[kind], 100) == {"flips": 100, "verify": 100, "pull": 100}
