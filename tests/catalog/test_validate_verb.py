"""`catalog validate` for models and for shower files, and what it leaves behind."""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from catalog.blur import blur, blur_warning
from catalog.card import read_card
from catalog.compat import same_calorimeter
from catalog.domain import Detector, load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile, CatalogError, CheckFailed, UsageError
from catalog.gate import check_folder
from catalog.matching import match_energies
from catalog.pull import read_folder
from catalog.report.folder import check_free, write_folder
from catalog.report.html import render_report
from catalog.report.validation import files_of, validation_page
from catalog.showers import ShowerSet
from catalog.showers.showerfile import ShowerFile, open_showers
from catalog.showers.write import write_calochallenge
from catalog.simulate.readout import readout_mesh
from catalog.simulate.write import write_showers
from catalog.validate import Validation, check_recordable, find_subject, record, validate
from catalog.validation_file import VALIDATION_FILE, read_validation
from tests.simulate.beams import beam
from tests.toys import generator_folder, shower_file, shower_set


def scaled(showers: ShowerSet, times: float) -> ShowerSet:
    return replace(showers, energies=showers.energies * np.float32(times))


def within(showers: ShowerSet, low: float, high: float) -> ShowerSet:
    rows = (showers.incident_gev >= low) & (showers.incident_gev < high)
    return replace(
        showers,
        energies=showers.energies[rows],
        incident_gev=showers.incident_gev[rows],
        theta_rad=showers.theta_rad[rows],
    )


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> ShowerSet:
    return shower_set(tmp_path_factory.mktemp("data") / "full.h5", n=600)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> ShowerSet:
    """What a perfect simulator makes: other showers of the same kind."""
    return shower_set(tmp_path_factory.mktemp("data") / "fast.h5", n=500, seed=1)


@pytest.fixture(scope="module")
def good(other: ShowerSet, target: ShowerSet) -> Validation:
    return validate(other, target)


@pytest.fixture(scope="module")
def files(good: Validation) -> dict[str, bytes]:
    return files_of(good)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return generator_folder(tmp_path / "toy")


@pytest.fixture(scope="module")
def toy(target: ShowerSet, tmp_path_factory: pytest.TempPathFactory) -> Validation:
    """The validation of the model that every `folder` holds."""
    return validate(read_folder(generator_folder(tmp_path_factory.mktemp("toy") / "toy")), target)


def recorded(toy: Validation, folder: Path) -> Path:
    return record(replace(toy, subject=read_folder(folder)))


def test_showers_of_the_same_kind_pass_every_gate(good: Validation) -> None:
    assert good.passed
    assert good.document()["passed"] is True


@pytest.mark.parametrize("times", [0.9, 1.1])
def test_a_response_that_is_10_percent_wrong_fails_its_gate(
    other: ShowerSet, target: ShowerSet, times: float
) -> None:
    found = validate(scaled(other, times), target)
    gates = {gate["name"]: gate for gate in found.document()["gates"]}
    failed = [name for name in gates if "response" in name and not gates[name]["passed"]]
    assert failed and not found.passed


def test_cells_that_are_corrected_for_sampling_compare_with_those_that_are_not(
    good: Validation, other: ShowerSet, target: ShowerSet
) -> None:
    stated = target.detector.sampling_fraction
    assert stated is not None
    whole = target.detector.model_copy(update={"sampling_fraction": 1.0})
    found = validate(replace(scaled(other, 1 / stated), detector=whole), target)
    assert found.result.metrics["fast.h5"] == pytest.approx(
        good.result.metrics["fast.h5"], rel=0.01
    )
    assert "each by the sampling fraction that it states: 1, 0.02" in found.matched
    assert "sampling fraction" not in good.matched


@pytest.mark.parametrize("silent", ["showers", "data", "both"])
def test_cells_of_another_scale_are_refused_unless_both_files_state_theirs(
    other: ShowerSet, target: ShowerSet, silent: str
) -> None:
    """It could be a correction for sampling, and as well a wrong unit."""
    unknown = target.detector.model_copy(update={"sampling_fraction": None})
    few = scaled(other, 0.2)
    with pytest.raises(UsageError, match="corrected for sampling, or in another unit"):
        validate(
            few if silent == "data" else few.of(unknown),
            target if silent == "showers" else target.of(unknown),
        )


def test_energies_are_matched_bin_by_bin(other: ShowerSet, target: ShowerSet) -> None:
    few = within(other, 5, 40)
    found = match_energies(few, target)
    n = len(found.showers)
    assert 2 * n == len(found.target)
    sides = (found.showers, *(found.target.take(half) for half in found.halves))
    logs = [np.sort(np.log(side.incident_gev)) for side in sides]
    for side in logs[1:]:
        np.testing.assert_allclose(side, logs[0], atol=0.1)
    assert len(set(found.target.incident_gev.tolist())) == 2 * n
    assert f"{n} of its {len(few)} showers" in found.how


def test_energies_on_a_grid_are_matched_too(target: ShowerSet, other: ShowerSet) -> None:
    steps = np.array([1.0, 4.0, 16.0, 64.0])
    a, b = (
        replace(part, incident_gev=np.resize(steps, len(part)) * np.exp(jitter))
        for part, jitter in ((other, 1e-8), (target, -1e-8))
    )
    assert len(match_energies(a, b).showers) == 300


def test_energies_without_overlap_are_refused_in_words(other: ShowerSet, target: ShowerSet) -> None:
    with pytest.raises(UsageError, match="do not overlap.*GeV"):
        validate(within(other, 1, 5), within(target, 20, 101))
    with pytest.raises(UsageError, match="only [0-9]+ showers have common energies"):
        validate(within(other, 1, 20), within(target, 18, 101))


def test_a_file_is_not_compared_with_itself(target: ShowerSet) -> None:
    again = replace(target.part(100), source="copy.h5", digest="another")
    with pytest.raises(UsageError, match="500 showers are in both copy.h5 and full.h5"):
        validate(again, target)


def test_showers_at_the_very_energies_of_the_data_are_not_a_copy(
    target: ShowerSet,
) -> None:
    same = replace(target, energies=target.energies[::-1] * 1.001, source="at its energies")
    assert len(match_energies(same, target).showers) > 280


def test_many_showers_of_one_energy_are_not_taken_for_copies(target: ShowerSet) -> None:
    """So many agree by chance to 1e-5 in visible energy; a tenth of them copied still shows."""
    rng = np.random.default_rng(3)

    def drawn(name: str, visible: np.ndarray) -> ShowerSet:
        few = target.take(np.zeros(len(visible), int))
        energies = few.energies / few.visible_gev[:, None] * visible[:, None]
        return replace(few, energies=energies.astype(np.float32), source=name)

    one, other = (rng.normal(1, 0.05, 4000) for _ in range(2))
    assert len(match_energies(drawn("a", one), drawn("b", other)).showers) == 2000
    with pytest.raises(UsageError, match="showers are in both"):
        match_energies(drawn("a", one), drawn("b", np.concatenate([one[:400], other[400:]])))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pdg": 11}, "different particles"),
        ({"theta_rad": np.full(500, 0.4)}, "different angles"),
    ],
)
def test_what_is_not_comparable_is_refused(
    other: ShowerSet, target: ShowerSet, change: dict, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        validate(replace(other, **change), target)


def test_copies_are_not_taken_for_statistics(other: ShowerSet, target: ShowerSet) -> None:
    with pytest.raises(UsageError, match="only 60 of its 600 showers differ"):
        validate(other, target.take(np.arange(600) // 10))
    with pytest.raises(UsageError, match="only 50 of its 500 showers differ"):
        validate(other.take(np.arange(500) // 10), target)


def test_another_calorimeter_is_refused(other: ShowerSet, target: ShowerSet) -> None:
    wrong = replace(other, detector=load_detector("pbwo4-block"))
    with pytest.raises(UsageError, match="different calorimeters .pbwo4-block, clic-siw."):
        validate(wrong, target)


def siw(repeat: int, tungsten: float, silicon: float, name: str = "par04-siw") -> Detector:
    slabs = [
        {"material": "W", "mm": tungsten},
        {"material": "Si", "mm": silicon, "active": True},
    ]
    return Detector.model_validate(
        {"name": name, "type": "ecal", "stack": [{"repeat": repeat, "slabs": slabs}]}
    )


def test_calorimeters_are_told_apart_by_their_stacks_and_not_by_their_names() -> None:
    real = load_detector("par04-siw")
    assert same_calorimeter(real, siw(90, 1.4, 0.3, "mine"))
    assert not same_calorimeter(real, siw(9, 14, 3))  # the same X0, R_M and depth
    assert not same_calorimeter(real, siw(60, 1.4, 0.3))
    assert not same_calorimeter(real, siw(90, 1.3, 0.4))
    block = load_detector("pbwo4-block")
    assert not same_calorimeter(real, block.model_copy(update={"name": "par04-siw"}))


def test_virtual_layers_do_not_make_another_calorimeter() -> None:
    block = load_detector("pbwo4-block")
    depth = block.depth_mm
    assert depth is not None
    for layers in (1, 25):
        slabs = [{"material": "PbWO4", "mm": depth / layers, "active": True}]
        cut = [{"repeat": layers, "slabs": slabs}]
        assert same_calorimeter(
            block, Detector.model_validate({"name": "cut", "type": "ecal", "stack": cut})
        )


def test_a_file_is_told_from_a_model_by_how_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shower_file(tmp_path / "toy.h5")
    shower_file(tmp_path / "no_suffix")
    generator_folder(tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    assert isinstance(find_subject("toy.h5"), ShowerFile)
    assert isinstance(find_subject("./no_suffix"), ShowerFile)
    assert find_subject("./toy").name == "toy"  # type: ignore[union-attr]


def test_page_and_json_tell_the_same_numbers(good: Validation, files: dict[str, bytes]) -> None:
    document = json.loads(files[VALIDATION_FILE])
    assert document == json.loads(json.dumps(good.document()))
    page = validation_page(good)
    assert page.metrics[good.ref] == document["metrics"]
    assert page.errors["floor"] == document["floor_errors"]
    assert [(g["name"], g["value"], g["passed"]) for g in page.gates] == [
        (g["name"], g["value"], g["passed"]) for g in document["gates"]
    ]
    text = files["index.html"].decode()
    w1, error = document["metrics"]["w1_geomean"], document["errors"]["w1_geomean"]
    assert f"{w1:#.3g} ± {error:#.2g}" in text
    assert document["dataset_digest"] in text and document["matching"] in text


def test_the_page_asks_nobody_for_anything(files: dict[str, bytes]) -> None:
    text = files["index.html"].decode()
    assert set(re.findall(r'(?:src|href)="(.{15})', text)) == {"data:image/svg+"}
    assert "url(" not in text and "://" not in text and "<script" not in text


def test_a_hostile_file_name_is_text_on_the_page(other: ShowerSet, target: ShowerSet) -> None:
    name = "<script>alert(1)</script>.h5"
    page = render_report(validation_page(validate(replace(other, source=name), target)))
    assert "<script" not in page
    assert "&lt;script" in page


def test_every_plot_comes_as_a_picture(files: dict[str, bytes]) -> None:
    names = {name for name in files if name.endswith(".png")}
    assert {
        "longitudinal-profile.png", "radial-profile.png", "energy-response.png",
        "energy-resolution.png", "cell-energy-spectrum.png", "correlations-in-depth.png",
    } <= names  # fmt: skip


def test_the_same_validation_gives_the_same_files(
    files: dict[str, bytes], other: ShowerSet, target: ShowerSet
) -> None:
    assert files_of(validate(other, target)) == files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


RESULT = {"validation.json": b"{}", "index.html": b"<html>", "a.png": b"picture"}


def test_a_result_replaces_an_earlier_one_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    write_folder(out, RESULT | {"old.png": b"old"}, force=False)
    with pytest.raises(UsageError, match="earlier result") as caught:
        check_free(out, force=False)
    assert "--force" in caught.value.hint
    write_folder(out, RESULT, force=True)
    assert names(out) == sorted(RESULT)
    assert names(tmp_path / "deep") == ["out"]


def test_what_is_no_result_is_never_replaced(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("years of work")
    for held in ({}, {"index.html": b"x"}):
        for name, content in held.items():
            (thesis / name).write_bytes(content)
        with pytest.raises(UsageError, match="chapter.tex.*not replaced"):
            write_folder(thesis, RESULT, force=True)
    (tmp_path / "link").symlink_to(thesis)
    (tmp_path / "file").write_text("x")
    for other in ("link", "file"):
        with pytest.raises(UsageError, match="not a folder"):
            write_folder(tmp_path / other, RESULT, force=True)
    assert (thesis / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_failing_disk_leaves_the_old_result_and_nothing_else(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "out", RESULT, force=False)

    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CatalogError, match="cannot be written"):
        write_folder(tmp_path / "out", RESULT | {"index.html": b"new"}, force=True)
    assert (tmp_path / "out" / "index.html").read_bytes() == b"<html>"
    assert names(tmp_path) == ["out"]


def test_a_recorded_validation_travels_with_the_version(folder: Path, toy: Validation) -> None:
    recorded(toy, folder)
    checked = check_folder(folder)
    assert VALIDATION_FILE in {entry.path for entry in checked.manifest.entries}
    (entry,) = checked.card.physics
    whole = read_validation(folder / VALIDATION_FILE)
    assert entry.detector == checked.card.domain.detector.name == "clic-siw"
    assert entry == whole.physics()
    assert entry.passed == all(gate.passed for gate in entry.gates) and entry.gates


def test_a_parametrised_reference_is_said_wherever_the_result_is(
    tmp_path: Path, folder: Path, toy: Validation, target: ShowerSet
) -> None:
    mesh = readout_mesh(target.detector, 5, 8)
    photons = beam(22, 1.0, 2)
    path = write_showers(tmp_path / "sim.h5", target.detector, mesh, photons, seed=1)
    assert open_showers(path).parametrised and not target.parametrised
    assert toy.document()["reference"] == "full simulation" and not toy.warnings

    done = replace(toy, subject=read_folder(folder), target=replace(target, parametrised=True))
    record(done)
    assert done.document()["reference"] == "parametrised simulation"
    assert "no full simulation" in done.document()["warnings"][0]
    assert read_validation(folder / VALIDATION_FILE).reference == "parametrised simulation"
    assert "reference: parametrised simulation" in (folder / "card.yaml").read_text()
    page = render_report(validation_page(done))
    assert "beside parametrised simulation" in page and done.warnings[0] in page


def test_a_copy_of_parametrised_showers_still_says_so(tmp_path: Path, target: ShowerSet) -> None:
    few = replace(target.part(0, 3), parametrised=True)
    path = tmp_path / "copy.h5"
    write_calochallenge(few, path)
    assert open_showers(path).parametrised


def test_cells_that_blur_the_same_shower_differently_are_told_with_the_remedy(
    good: Validation, other: ShowerSet
) -> None:
    assert not good.warnings and good.document()["warnings"] == []
    steel = load_detector("fe-scint")
    corner, middle = (
        replace(other, mesh=readout_mesh(steel, n), detector=steel, source=f"{n}.h5")
        for n in (24, 25)
    )
    said = replace(good, subject=middle, target=corner).document()["warnings"]
    assert len(said) == 1 and "25.h5 and 24.h5" in said[0] and "--cells 24" in said[0]
    assert blur_warning(corner, corner) is None


def test_a_shower_is_at_the_same_radii_in_cells_that_are_small_enough() -> None:
    clic = load_detector("clic-siw")
    x0, rm = clic.x0_mm, clic.rm_mm
    assert x0 is not None and rm is not None
    fine, finer = (readout_mesh(clic, n, cell_mm=(100 / n, 100 / n)) for n in (80, 81))
    assert 0 < blur(fine, finer, clic) < 0.005
    radii = tuple(np.linspace(0, 50, 51))
    turned = [
        Mesh((Layer(0, 200, "polar", tuple(a + np.linspace(0, 2 * np.pi, 9)), radii),))
        for a in (-np.pi, 0.0)
    ]
    assert blur(*turned, clic) < 0.005  # wherever phi is counted from


def test_recording_twice_gives_the_same_bytes(folder: Path, toy: Validation) -> None:
    recorded(toy, folder)
    first = check_folder(folder).manifest
    record(validate(read_folder(folder), toy.target))
    assert check_folder(folder).manifest == first


def test_cards_from_before_gates_were_kept_still_read(folder: Path) -> None:
    card = yaml.safe_load((folder / "card.yaml").read_text())
    card["physics"] = [{"dataset": "d", "n": 9, "metrics": {}, "floor": {}, "passed": True}]
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    assert read_card(folder).physics[0].gates == ()


def edited(folder: Path, **changes: object) -> str:
    """What publishing says of a validation.json with other contents."""
    path = folder / VALIDATION_FILE
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(document))
    with pytest.raises(CheckFailed) as caught:
        check_folder(folder)
    assert "catalog validate" in caught.value.message
    return caught.value.message


def test_a_validation_that_is_not_the_cards_is_not_published(folder: Path, toy: Validation) -> None:
    recorded(toy, folder)
    assert "not what the card's" in edited(folder, passed=True, n=7)


def test_a_validation_of_another_model_is_not_published(folder: Path, toy: Validation) -> None:
    recorded(toy, folder)
    other = generator_folder(folder.parent / "other", depth=5.0)
    (folder / "model.onnx").write_bytes((other / "model.onnx").read_bytes())
    for name in ("test_inputs.npz", "test_outputs.npz"):
        (folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(CheckFailed, match="is of another model.onnx"):
        check_folder(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'{"n": 1e999}', b"NaN", b"[" * 100_000, b"\xff\xfe",
        b'{"dataset": "x", "detector": "d", "n": 5, "metrics": {"a": NaN}, "floor": {}, '
        b'"gates": [], "passed": true}',
        b'{"n": "' + b"9" * 2_000_000 + b'"}',
    ],
    ids=["empty", "torn", "list", "null", "few", "nan", "deep", "bytes", "metric", "large"],
)  # fmt: skip
def test_a_hostile_validation_is_refused_in_words(folder: Path, content: bytes) -> None:
    (folder / VALIDATION_FILE).write_bytes(content)
    with pytest.raises(BadFile, match="validation.json"):
        read_validation(folder / VALIDATION_FILE)
    with pytest.raises(CheckFailed, match="validation.json"):
        check_folder(folder)


def test_only_a_version_folder_can_be_recorded_in(folder: Path, other: ShowerSet) -> None:
    check_recordable(read_folder(folder))
    with pytest.raises(UsageError, match="a shower file has no card"):
        check_recordable(other)
    published = replace(read_folder(folder), version=3)
    with pytest.raises(UsageError, match="never changes") as caught:
        check_recordable(published)
    assert "catalog pull toy@3 --out toy/" in caught.value.hint


def test_an_unwritable_version_folder_is_said(
    folder: Path, toy: Validation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(folder)

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CatalogError, match="no space left"):
        recorded(toy, folder)
    assert names(folder) == before
