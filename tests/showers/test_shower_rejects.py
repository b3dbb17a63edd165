"""Every malformed file gets one paragraph that names file, field and remedy, soon and cheaply."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.errors import BadFile
from catalog.showers.reader import read_showers
from tests.showers.hostile_files import CASES as FILES
from tests.showers.hostile_neighbours import CASES as NEIGHBOURS
from tests.showers.hostile_values import CASES as VALUES

ROOT = Path(__file__).parents[2]
CASES = {**FILES, **NEIGHBOURS, **VALUES}
SECONDS, MEGABYTES = 1.0, 500

# A child's ru_maxrss begins at its parent's; VmHWM is its own.
EACH = r"""
import json, re, sys, time
from pathlib import Path
from catalog.errors import BadFile
from catalog.showers.reader import read_showers
for name, path in json.load(sys.stdin).items():
    start = time.process_time()
    try:
        read_showers(Path(path))
        print(json.dumps([name, 0, 0, "no error"]))
    except BadFile as exc:
        took = time.process_time() - start
        peak = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1024
        print(json.dumps([name, took, peak, exc.message]))
"""

CLI = "from catalog.cli import main; main()"


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 110


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_words(tmp_path: Path, name: str) -> None:
    make, words = CASES[name]
    path = make(tmp_path)
    with pytest.raises(BadFile) as caught:
        read_showers(path)
    said = f"{caught.value.message} {caught.value.hint}"
    assert re.search(words, said), said
    assert str(tmp_path) in caught.value.message
    assert "\n" not in said
    assert len(said) < 900
    assert caught.value.hint


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_none_takes_long_or_much_memory(tmp_path: Path) -> None:
    """Processor time and the peak of a process that reads the whole corpus."""
    paths = {}
    for name, (make, _) in CASES.items():
        (tmp_path / name).mkdir()
        paths[name] = str(make(tmp_path / name))
    done = subprocess.run(
        [sys.executable, "-c", EACH], input=json.dumps(paths), text=True, capture_output=True,
        check=True,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        name, seconds, peak, message = json.loads(line)
        assert message != "no error", name
        assert seconds < SECONDS, f"{name}: {seconds:.2f} s"
        assert peak < MEGABYTES, f"{name}: {peak:.0f} MB"
    assert len(done.stdout.splitlines()) == len(CASES)


@pytest.mark.parametrize("name", ["nan_cell", "xml_bomb", "sidecar_deep", "soft_link_to_itself"])
def test_the_command_line_fails_without_a_traceback(tmp_path: Path, name: str) -> None:
    path = CASES[name][0](tmp_path)
    environment = {**os.environ, "CATALOG_HOME": str(tmp_path / "home")}
    environment.pop("CATALOG_DEBUG", None)
    done = subprocess.run(
        [sys.executable, "-c", CLI, "recommend", "--data", str(path)],
        capture_output=True, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("catalog: ")
    assert "  next: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert done.stdout == ""
