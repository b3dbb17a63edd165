"""The table of scores leads somewhere, and reading it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import numpy as np
import pytest

from catalog import plugins
from catalog.errors import MissingExtra, NotFound
from catalog.scoring.scores import SCORES, load_score

NAMES = [name for named in SCORES.values() for name in named]


def test_every_name_is_a_function_and_is_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for named in SCORES.values():
        assert list(named) == sorted(named)
        for name in named:
            assert load_score(name).__name__ == name
            assert load_score(name).__doc__


def test_the_table_imports_nothing_heavy_and_no_score_torch() -> None:
    code = (
        "import sys\n"
        "from catalog.scoring.scores import SCORES, load_score\n"
        "assert 'numpy' not in sys.modules\n"
        "[load_score(name) for named in SCORES.values() for name in named]\n"
        "print([m for m in ('torch', 'sklearn', 'onnxruntime', 'h5py') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFound) as caught:
        load_score("magic")
    assert all(name in caught.value.message for name in NAMES)


def test_the_table_is_what_is_installed() -> None:
    ours = {e.name for e in entry_points(group="catalog.scores") if "catalog.scoring" in e.value}
    assert ours == set(NAMES)


def test_a_score_of_somebody_else_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = ModuleType("toy_scores")
    toy.widest = lambda generated, _target: float(generated.max())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_scores", toy)
    stub = EntryPoint("widest", "toy_scores:widest", "catalog.scores")
    broken = EntryPoint("broken", "a_package_that_is_absent:f", "catalog.scores")
    monkeypatch.setattr(plugins, "entry_points", lambda **_: [stub, broken])
    load_score.cache_clear()
    try:
        assert load_score("widest")(np.array([[1.0, 3.0]]), None) == 3.0
        with pytest.raises(MissingExtra):
            load_score("broken")
        with pytest.raises(NotFound):
            load_score("w1_geomean")
    finally:
        load_score.cache_clear()
