"""The table of scores leads somewhere, and reading it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from catalog.errors import NotFound
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
    assert all(name in caught.value.hint for name in NAMES)
