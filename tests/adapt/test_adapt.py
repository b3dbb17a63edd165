"""Adapting: repeatable, refusing what cannot work, leaving nothing half-written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from catalog.adapt.adapt import adapt, unseen
from catalog.adapt.compare import AFTER, BEFORE, SCRATCH, compare
from catalog.adapt.family import Running
from catalog.adapt.recipe import default_recipe, load_recipe
from catalog.card import read_card
from catalog.errors import BadFile, CatalogError, UsageError
from catalog.pull import Pulled, read_folder
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.testvectors import check_test_vectors

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2] / "sample_models"
FILES = {
    "fingerprint.npz",
    "seen.npz",
    "likelihood.onnx",
    "card.yaml",
    "checkpoint.safetensors",
    "model.onnx",
    "test_inputs.npz",
    "test_outputs.npz",
}


@pytest.fixture(scope="module")
def parent() -> Pulled:
    return read_folder(ROOT / "versions" / "vae-pbwo4")


@pytest.fixture(scope="module")
def target() -> ShowerSet:
    return read_showers(ROOT / "data" / "par04-siw-electron.h5", limit=120)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_adapting_twice_gives_the_same_bytes(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        adapt(parent, target, showers=40, steps=3, out=tmp_path / name)
    first, second = contents(tmp_path / "first"), contents(tmp_path / "second")
    assert set(first) == FILES
    assert first == second


def test_the_child_names_its_parent_and_its_new_detector(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    done = adapt(parent, target, showers=40, steps=2, out=tmp_path / "child")
    card = read_card(done.folder)
    assert card.domain.detector == target.detector
    assert card.domain.particles == (target.pdg,)
    assert card.lineage is not None
    assert card.lineage.parent == parent.digest
    assert card.training is not None
    assert (card.training.showers, card.training.seconds) == (40, None)
    assert check_test_vectors(done.folder, card) == []


def test_a_model_from_scratch_has_no_parent_and_none_of_its_weights(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    fresh = adapt(
        parent, target, showers=40, steps=2, recipe=load_recipe("scratch"), out=tmp_path / "s"
    )
    child = adapt(parent, target, showers=40, steps=2, out=tmp_path / "c")
    assert fresh.card.lineage is None
    assert fresh.card.name != child.card.name
    assert contents(fresh.folder)["model.onnx"] != contents(child.folder)["model.onnx"]


def test_progress_ends_with_the_last_step(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    adapt(
        parent, target, showers=40, steps=3, out=tmp_path / "c",
        running=Running(progress=lambda done, steps: seen.append((done, steps))),
    )  # fmt: skip
    assert seen[-1] == (3, 3)


def test_a_truncated_checkpoint_is_refused_with_its_path(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(parent.folder, folder)
    whole = (folder / "checkpoint.safetensors").read_bytes()
    (folder / "checkpoint.safetensors").write_bytes(whole[: len(whole) // 2])
    broken = Pulled(parent.name, 1, parent.digest, folder, parent.card)
    with pytest.raises(BadFile, match=r"checkpoint\.safetensors"):
        adapt(broken, target, showers=40, steps=2, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_version_without_a_checkpoint_is_not_adaptable(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    folder = tmp_path / "export-only"
    shutil.copytree(parent.folder, folder)
    (folder / "checkpoint.safetensors").unlink()
    export = Pulled(parent.name, 1, parent.digest, folder, parent.card)
    with pytest.raises(UsageError, match="not adapted"):
        adapt(export, target, showers=40, steps=2, out=tmp_path / "out")


@pytest.mark.parametrize(("showers", "steps"), [(3, 5), (10**6, 5), (40, 0)])
def test_impossible_requests_are_refused(
    parent: Pulled, target: ShowerSet, tmp_path: Path, showers: int, steps: int
) -> None:
    with pytest.raises(UsageError):
        adapt(parent, target, showers=showers, steps=steps, out=tmp_path / "out")


def test_a_folder_with_something_in_it_is_never_overwritten(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        adapt(parent, target, showers=40, steps=2, out=tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_an_interrupted_adaptation_leaves_nothing(
    parent: Pulled, target: ShowerSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("catalog.adapt.version.write_test_vectors", fail)
    with pytest.raises(CatalogError, match="disk full"):
        adapt(parent, target, showers=40, steps=2, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_generates_nothing_cannot_be_adapted(
    target: ShowerSet, tmp_path: Path
) -> None:
    regressor = read_folder(ROOT / "versions" / "energy-regressor-siw")
    with pytest.raises(UsageError, match="no family"):
        adapt(regressor, target, showers=40, steps=2, out=tmp_path / "out")


def test_the_budget_ends_training_at_the_best_step_so_far(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    done = adapt(
        parent, target, showers=40, steps=10**6, running=Running(budget_s=0.2), out=tmp_path / "c"
    )
    assert done.run.stopped == "budget"
    assert done.run.steps < 10**5
    scores = {judged.step: judged.score for judged in done.run.curve}
    assert scores[done.run.best] == min(scores.values())
    assert done.run.steps in scores


def test_the_default_recipe_is_the_one_measured_best(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    done = adapt(parent, target, showers=40, steps=1, out=tmp_path / "c")
    assert done.recipe == default_recipe("cvae", 40)
    assert done.recipe.backbone_lr is not None
    assert done.card.training is not None
    assert done.card.training.recipe["name"] == done.recipe.name


def test_no_shower_used_for_adapting_is_called_unseen(target: ShowerSet) -> None:
    assert unseen(target, 40).incident_gev[0] == target.incident_gev[40]
    with pytest.raises(UsageError, match="0 are unseen"):
        unseen(target, len(target))


def test_the_comparison_has_the_floor_and_every_model(
    parent: Pulled, target: ShowerSet, tmp_path: Path
) -> None:
    adapt(parent, target, showers=20, steps=2, out=tmp_path / "c")
    gain = compare(parent, read_folder(tmp_path / "c"), target, showers=20)
    assert set(gain.w1) == {BEFORE, AFTER}
    assert set(gain.floor) == set(gain.metrics[AFTER])
    assert gain.n == 50


@pytest.mark.slow
def test_adapting_on_300_showers_beats_before_on_unseen_showers(tmp_path: Path) -> None:
    parent = read_folder(ROOT / "versions" / "vae-pbwo4")
    showers = read_showers(ROOT / "data" / "par04-siw-electron.h5")
    for name in ("full", "scratch"):
        adapt(
            parent, showers, showers=300, steps=800, recipe=load_recipe(name), out=tmp_path / name
        )
    full, scratch = read_folder(tmp_path / "full"), read_folder(tmp_path / "scratch")
    gain = compare(parent, full, showers, showers=300, scratch=scratch)
    assert gain.w1[AFTER] < 0.5 * gain.w1[BEFORE]
    assert gain.w1[AFTER] < gain.w1[SCRATCH]
