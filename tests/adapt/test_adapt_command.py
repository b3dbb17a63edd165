"""`catalog adapt` and `catalog train` as a user meets them, on few showers and for few steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest
from typer.testing import CliRunner, Result

from catalog.adapt import finish
from catalog.adapt.compare import AFTER, BEFORE
from catalog.adapt.log import read_log
from catalog.adapt.recipe import default_recipe
from catalog.cli.app import build_app
from catalog.errors import BadFile, CatalogError, UsageError
from catalog.fingerprint import VECTOR_LENGTH
from catalog.index import Query, open_index
from catalog.manifest import build_manifest
from catalog.physics.validate import Comparison

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2] / "sample_models"
PARENT = f"{ROOT}/versions/vae-pbwo4/"
SHORT = ["--showers", "40", "--steps", "2", "--no-scratch"]


def few(place: Path, name: str = "par04-siw-electron", n: int = 120) -> str:
    """The first showers of a shipped file, as a file of their own."""
    path = place / f"{name}.h5"
    with h5py.File(ROOT / "data" / f"{name}.h5") as whole, h5py.File(path, "w") as part:
        part.attrs.update(whole.attrs)
        for key in whole:
            part[key] = whole[key][:n]
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return few(tmp_path_factory.mktemp("few"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATALOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CATALOG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home"


def run(*words: str) -> Result:
    return CliRunner().invoke(build_app(words[0]), list(words))


def ended(monkeypatch: pytest.MonkeyPatch, better: bool) -> None:
    """Let the comparison on unseen showers come out as told; all else is computed."""
    own = finish.compare

    def told(*given: Any, **named: Any) -> Comparison:
        found = own(*given, **named)
        score = found.metrics[BEFORE]["w1_geomean"] * (0.5 if better else 1.5)
        after = {**found.metrics[AFTER], "w1_geomean": score}
        return replace(found, metrics={**found.metrics, AFTER: after})

    monkeypatch.setattr(finish, "compare", told)


def published(home: Path) -> int:
    with open_index(home) as index:
        return index.search(Query())[0]


def test_an_adaptation_that_makes_it_worse_says_so_publishes_nothing_and_exits_1(
    home: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(monkeypatch, better=False)
    done = run(
        "adapt", PARENT, "--data", data, *SHORT, "--out", str(tmp_path / "child"), "--publish"
    )
    assert done.exit_code == 1
    assert "made it worse: keep the parent" in done.stdout
    assert "catalog publish" not in done.stdout
    assert published(home) == 0
    (recorded,) = read_log(home)  # evidence all the same
    assert recorded.recipe == default_recipe("cvae", recorded.showers).name


def test_a_better_one_is_published_with_its_lineage(
    home: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    ended(monkeypatch, better=True)
    done = run(
        "adapt",
        PARENT,
        "--data",
        data,
        *SHORT,
        "--out",
        str(tmp_path / "child"),
        "--publish",
        "--json",
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["published"] == "vae-par04-siw@1"
    with open_index(home) as index:
        (row,) = index.search(Query())[1]
    assert json.loads(row.card)["lineage"]["parent"] == build_manifest(Path(PARENT)).digest


def test_the_record_holds_recipe_curve_share_and_device(
    home: Path, data: str, tmp_path: Path
) -> None:
    run(
        "adapt",
        PARENT,
        "--data",
        data,
        *SHORT,
        "--out",
        str(tmp_path / "child"),
        "--recipe",
        "bitfit",
    )
    (record,) = read_log(home)
    assert (record.recipe, record.strategy, record.steps) == ("bitfit", "bitfit", 2)
    assert [step for step, _ in record.curve] == [0, 1, 2]
    assert record.target_fingerprint.startswith("sha256:")
    assert len(record.target_vector) == VECTOR_LENGTH
    assert record.trained_share is not None
    assert 0 < record.trained_share < 0.2
    assert record.device


def test_without_further_words_the_rival_from_scratch_is_trained_and_the_folder_named(
    home: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("adapt", PARENT, "--data", data, "--showers", "40", "--steps", "2")
    assert "FROM SCRATCH" in done.stdout
    assert [path.name for path in tmp_path.glob("vae-*")] == ["vae-par04-siw"]
    chosen = default_recipe("cvae", 40).strategy
    assert [record.strategy for record in read_log(home)] == [chosen, "scratch"]


def test_records_of_before_recipes_are_still_read(home: Path) -> None:
    home.mkdir(parents=True)
    new = json.loads((ROOT / "evidence.jsonl").read_text().splitlines()[0])
    since = {"recipe", "curve", "trained_share", "energy_kwh"}
    since |= {"target_fingerprint", "target_vector"}
    old = json.dumps({key: value for key, value in new.items() if key not in since})
    (home / "adaptations.jsonl").write_text(old + "\n")
    (record,) = read_log(home)
    assert (record.recipe, record.curve, record.energy_kwh) == ("", (), None)
    assert (record.target_fingerprint, record.target_vector) == ("", ())


def test_the_budget_is_honoured_and_told(home: Path, data: str, tmp_path: Path) -> None:
    words = ["adapt", PARENT, "--data", data, "--showers", "40", "--out", str(tmp_path / "c")]
    done = run(*words, "--no-scratch", "--steps", "1000000", "--budget", "1s")
    assert "the budget ended it" in done.stdout
    (record,) = read_log(home)
    assert record.curve[-1][0] < 1_000_000


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (["--recipe", "no-such"], CatalogError, "no recipe 'no-such'"),
        (["--budget", "soon"], UsageError, "'soon' is no duration"),
        (["--recipe", "WRONG"], BadFile, "unknown key 'heads_lr'; did you mean head_lr"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_trained(
    home: Path, data: str, tmp_path: Path, words: list[str], error: type[Exception], says: str
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("heads_lr: 1.0e-3\n")
    words = [str(wrong) if word == "WRONG" else word for word in words]
    done = run("adapt", PARENT, "--data", data, *SHORT, "--out", str(tmp_path / "c"), *words)
    assert isinstance(done.exception, error)
    assert says in str(done.exception)
    assert not (tmp_path / "c").exists()


def test_the_shipped_recipes_are_listed() -> None:
    done = run("adapt", "--list-recipes")
    assert done.exit_code == 0
    assert "bitfit" in done.stdout


def test_a_trained_model_is_a_complete_version_of_all_its_detectors(
    home: Path, data: str, tmp_path: Path
) -> None:
    from catalog.gate import check_folder

    other = few(tmp_path, "clic-siw-photon")
    words = ["--data", data, "--data", other, "--out", str(tmp_path / "m"), "--steps", "2"]
    done = run("train", "cvae", *words, "--name", "both", "--licence", "MIT", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [row["step"] for row in told["curve"]] == [0, 1, 2]
    card = check_folder(tmp_path / "m").card
    assert (card.name, card.licence, card.domain.detector.name) == ("both", "MIT", "par04-siw")
    assert card.training is not None
    assert card.training.showers == 120 + 120
    assert card.inputs[1].components == ("energy_gev", "is_photon")
    assert not (tmp_path / "m.unfinished").exists()


def test_training_from_nothing_needs_a_recipe_from_nothing(
    home: Path, data: str, tmp_path: Path
) -> None:
    words = ["--data", data, "--out", str(tmp_path / "m"), "--recipe", "bitfit"]
    done = run("train", "cvae", *words)
    assert isinstance(done.exception, UsageError)
    assert "needs a parent" in str(done.exception)
