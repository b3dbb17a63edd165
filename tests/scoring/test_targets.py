"""Runs on the calorimeter that is asked about are no forecast of it, whatever it was called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import sample_models
from catalog.adapt.log import Adaptation, read_records
from catalog.domain import load_detector
from catalog.scoring.predict import evidence
from catalog.scoring.targets import about, elsewhere
from catalog.showers.reader import read_showers

ROOT = Path(sample_models.__file__).parent
RUNS = read_records(ROOT / "evidence.jsonl")
PAR04 = load_detector("par04-siw")


def run_on(name: str, described: str = "") -> Adaptation:
    kept = about(load_detector(described)) if described else {}
    return replace(RUNS[0], target=name, detector=kept, target_digest=name)


def test_a_renamed_detector_is_known_by_its_stack() -> None:
    mine = PAR04.model_copy(update={"name": "my-prototype", "cell_mm": (3.0, 3.0)})
    log = [run_on("par04-siw"), run_on("other", "clic-siw"), run_on("beam-test", "par04-siw")]
    assert [run.target for run in elsewhere(log, mine)] == ["other"]
    assert len(elsewhere(log, load_detector("na48-lkr"))) == 3


def test_two_names_of_one_calorimeter_are_one_target() -> None:
    log = [run_on("a", "clic-siw"), run_on("b", "clic-siw"), run_on("c", "l3-bgo"), run_on("d")]
    assert [run.target for run in elsewhere(log, PAR04)] == ["a", "a", "c", "d"]


def test_without_a_description_only_the_name_tells() -> None:
    mine = PAR04.model_copy(update={"name": "unheard-of", "stack": ()})
    assert elsewhere([run_on("unheard-of"), run_on("other")], mine)[0].target == "other"


def test_a_record_whose_detector_makes_no_sense_is_taken_by_its_name() -> None:
    odd = replace(run_on("odd"), detector={"name": "odd", "stack": [{"repeat": -1}]})
    assert [run.target for run in elsewhere([odd], PAR04)] == ["odd"]


def test_shipped_runs_on_a_shipped_file_inform_no_prediction_of_its_detector() -> None:
    for name in ("par04-siw-electron", "clic-siw-photon", "pbwo4-electron"):
        showers = read_showers(ROOT / "data" / f"{name}.h5", limit=1)
        own = [run for run in RUNS if run.target == name]
        renamed = showers.detector.model_copy(update={"name": "mine"})
        rest = elsewhere(RUNS, renamed)
        assert own
        assert len(rest) == len(RUNS) - len(own)
        assert len(evidence(rest, "another digest", showers.pdg, 300)) == len(rest)
