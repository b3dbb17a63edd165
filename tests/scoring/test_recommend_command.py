"""`catalog recommend` and the other verbs that take showers, as a script sees them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from catalog.cli import main
from tests.toys import generator_folder, shower_file


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATALOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shower_file(tmp_path / "few.h5", n=20)
    shower_file(tmp_path / "enough.h5", n=60)
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["catalog", *words])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("recommend --data few.h5", 2),
        ("recommend --data absent.h5", 1),
        ("recommend --data few.h5 --models 0", 2),
        ("validate toy/ --data few.h5", 2),
        ("adapt toy/ --data few.h5 --showers 20 --out out/", 2),
    ],
)
def test_what_has_no_answer_prints_nothing_but_what_to_type_next(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
) -> None:
    generator_folder(place / "toy")
    found, out, err = run(monkeypatch, capsys, *words.split(), "--json")
    assert (found, out) == (code, ""), err
    assert "Traceback" not in err
    assert not (place / "out").exists()
    assert (code == 2 and "--models" in words) or "next: " in err


def test_nothing_fits_is_an_answer(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "recommend", "--data", "enough.h5", "--json")
    assert (code, json.loads(out)["verdict"]) == (3, "nothing-fits")


def test_twenty_showers_have_a_fingerprint(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "fingerprint", "few.h5", "--json")
    assert (code, json.loads(out)["data"]["n"]) == (0, 20)
