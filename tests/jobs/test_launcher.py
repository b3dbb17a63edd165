"""launchers.yaml: places by name, and words for all that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import BadFile, NotFound
from catalog.jobs.attempts import note, read_attempts
from catalog.jobs.launcher import open_launcher


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATALOG_CONFIG", str(tmp_path / "stores.yaml"))
    return tmp_path / "launchers.yaml"


def test_a_place_has_its_settings_and_an_installed_launcher_none(file: Path) -> None:
    file.write_text("launchers:\n  gpu: {kind: slurm, partition: gpu, usd_per_hour: 0.9}\n")
    assert open_launcher("gpu").usd_per_hour == 0.9
    assert open_launcher("slurm").usd_per_hour is None


def test_an_unknown_place_names_what_there_is(file: Path) -> None:
    with pytest.raises(NotFound, match=r"installed: .*htcondor.*local.*slurm"):
        open_launcher("nowhere")


@pytest.mark.parametrize(
    "text",
    [
        "launchers: 3",
        "[]",
        "launchers: {gpu: slurm}",
        "launchers: {gpu: {partition: gpu}}",
        "launchers: {gpu: {kind: slurm, partitoin: gpu}}",
        "launchers: {gpu: {kind: slurm, usd_per_hour: -1}}",
        "launchers: {gpu: {kind: slurm, usd_per_hour: .nan}}",
        'launchers: {gpu: {kind: slurm, partition: "a\\n#SBATCH --uid=0"}}',
        'launchers: {gpu: {kind: slurm, account: "a; rm -rf x"}}',
        "launchers: {gpu: {kind: slurm}, gpu: {kind: local}}",
        "launchers: {}\nextra: 1",
        "launchers: {gpu: {kind: slurm",
        "\x00",
    ],
)
def test_a_wrong_file_is_told_with_its_path(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(BadFile, match=r"launchers\.yaml"):
        open_launcher("gpu")


def test_attempts_add_up_and_a_cut_line_does_not_count(tmp_path: Path) -> None:
    assert read_attempts(tmp_path).count == 0
    note(tmp_path, pid=1)
    assert read_attempts(tmp_path).running
    note(tmp_path, code=143)
    note(tmp_path, pid=2)
    with (tmp_path / "attempts.jsonl").open("a") as file:
        file.write('{"at": 1, "co')
    told = read_attempts(tmp_path)
    assert (told.count, told.running, told.code) == (2, True, 143)
