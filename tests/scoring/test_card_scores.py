"""What a version's files tell of it before it is run."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.pull import Pulled, read_folder
from catalog.scoring.card_scores import CARD_SCORES, card_scores
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from sample_models.zoo import DATA, VERSIONS

NAME = "vae-clic-siw"


@pytest.fixture(scope="module")
def target() -> ShowerSet:
    return read_showers(DATA / "clic-siw-photon.h5").part(0, 5)


def shipped(name: str = NAME) -> Pulled:
    return read_folder(VERSIONS / name)


def test_a_shipped_version_tells_all_and_its_own_particle(target: ShowerSet) -> None:
    found = card_scores(shipped(), target)
    assert tuple(found) == CARD_SCORES
    assert all(math.isfinite(value) for value in found.values())
    assert found["particle"] == 1
    assert card_scores(shipped(), replace(target, pdg=211))["particle"] == 0


def test_more_training_showers_count_for_more(target: ShowerSet) -> None:
    pulled = shipped()
    training = pulled.card.training.model_copy(update={"showers": pulled.card.training.showers * 2})
    more = replace(pulled, card=pulled.card.model_copy(update={"training": training}))
    gain = card_scores(more, target)["n_train"] - card_scores(pulled, target)["n_train"]
    assert gain == pytest.approx(math.log(2))


@pytest.mark.parametrize("file", ["fingerprint.npz", "checkpoint.safetensors"])
@pytest.mark.parametrize("damage", ["absent", "garbage", "empty"])
def test_files_that_are_missing_or_broken_tell_nothing(
    tmp_path: Path, target: ShowerSet, file: str, damage: str
) -> None:
    folder = tmp_path / NAME
    shutil.copytree(VERSIONS / NAME, folder)
    (folder / file).unlink()
    if damage != "absent":
        (folder / file).write_bytes(b"\xff" * 100 if damage == "garbage" else b"")
    card = shipped().card.model_copy(update={"physics": ()})
    found = card_scores(replace(shipped(), card=card, folder=folder), target)
    lost = "self_quality" if file == "fingerprint.npz" else "parameters"
    assert math.isnan(found[lost])
    assert math.isfinite(found["n_train"])
