"""The calorimeters that the catalog knows."""

import json

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from catalog.cli import build_app
from catalog.domain import Detector, Slab, Stack, detector_names, load_detector
from catalog.errors import BadFile, CatalogError, NotFound, UsageError

# Cards of shipped models refer to these; their meshes are in X0 and R_M (mm) of the stack.
SHIPPED = {
    "clic-siw": (9.28115, 19.0902),
    "pbwo4-block": (8.92, 21.5924),
    "par04-siw": (4.22103, 10.8782),
}
OLD_NAMES = {
    *SHIPPED, "pb-lar", "fe-scint", "calochallenge-siw", "atlas-barrel", "clic-3dgan",
}  # fmt: skip


@pytest.mark.parametrize(("name", "scale"), SHIPPED.items())
def test_scales_of_shipped_models_stay(name, scale):
    detector = load_detector(name)
    assert detector.x0_mm == pytest.approx(scale[0], rel=3e-3)
    assert detector.rm_mm == pytest.approx(scale[1], rel=3e-3)


def test_the_vocabulary_is_complete_and_cited():
    assert set(detector_names()) >= OLD_NAMES
    known = [load_detector(name) for name in detector_names()]
    assert len([d for d in known if d.stack]) >= 12
    for detector in known:
        assert detector.source, detector.name
        assert detector.title, detector.name
        if detector.stack and detector.name not in OLD_NAMES:
            assert "CALORIMETER" in detector.flags, detector.name
            assert detector.response.source, detector.name


@pytest.mark.parametrize("name", sorted(detector_names()))
def test_depths_are_those_of_calorimeters(name):
    detector = load_detector(name)
    if not detector.stack:
        return
    x0, interaction = detector.depth_mm / detector.x0_mm, detector.depth_mm / detector.lambda_mm
    if detector.type == "ecal":
        assert 15 < x0 < 40
        assert interaction < 2.5
    else:
        assert interaction > 4.9
    assert detector.ec_mev < detector.ec_rossi_mev * 1.02
    if detector.rmin_mm and detector.rmax_mm:
        assert detector.depth_mm < detector.rmax_mm - detector.rmin_mm + 1 or "ENDCAP" in (
            detector.flags
        )


def _detector(**changes):
    stack = (Stack(repeat=2, slabs=(Slab(material="Pb", mm=2, active=True),)),)
    return Detector(**{"name": "mine", "type": "ecal", "stack": stack, **changes})


def test_stacks_and_shapes_that_make_no_sense():
    passive = (Stack(repeat=2, slabs=(Slab(material="Pb", mm=2),)),)
    with pytest.raises(ValidationError, match="no slab of the stack is active"):
        _detector(stack=passive)
    with pytest.raises(ValidationError, match="rmin_mm 20.0 is not below rmax_mm 10.0"):
        _detector(rmin_mm=20, rmax_mm=10)
    with pytest.raises(ValidationError):
        _detector(flags=("SHINY",))
    with pytest.raises(ValidationError):
        _detector(response={"stochastic": -0.1})


def _run(*words):
    runner = CliRunner()
    return runner.invoke(build_app("detectors"), ["detectors", *words])


def test_listing_and_showing():
    for words in ((), ("ls",)):
        done = _run(*words)
        assert done.exit_code == 0
        assert "clic-siw" in done.stdout
    shown = json.loads(_run("show", "ild-siw", "--json").stdout)["detectors"]
    assert shown == json.loads(_run("ild-siw", "--json").stdout)["detectors"]
    assert shown[0]["sides"] == 8
    assert shown[0]["depth_x0"] == pytest.approx(23.7, abs=0.1)
    assert "21 x: 2.1 mm WDens24" in _run("show", "ild-siw").stdout


def test_checking_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntype: ecal\nstack:\n"
        "  - {repeat: 20, slabs: [{material: W, mm: 3}, {material: Si, mm: 0.5, active: true}]}\n",
        encoding="utf-8",
    )
    assert _run("check", str(path)).exit_code == 0
    path.write_text("name: mine\ntype: ecal\ncolour: red\n", encoding="utf-8")
    assert isinstance(_run("check", str(path)).exception, BadFile)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("show", "nothing"), NotFound),
        (("check", "nothing.yaml"), NotFound),
        (("show",), UsageError),
        (("ls", "clic-siw"), UsageError),
        (("clic-siw", "ild-siw"), UsageError),
    ],
)
def test_wrong_words(words, error):
    raised = _run(*words).exception
    assert isinstance(raised, CatalogError)
    assert type(raised) is error
