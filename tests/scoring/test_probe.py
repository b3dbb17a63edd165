"""A probe costs what it must: nothing is opened, generated or observed twice."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from catalog import generate
from catalog.fingerprint import Kept, fingerprint
from catalog.index.rows import row_of
from catalog.physics import validate
from catalog.physics.observables import observe
from catalog.pull import read_folder
from catalog.scoring import scorer, shortlist
from catalog.scoring.probe import probe, zero_shot
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.stores import Committed
from tests.toys import generator_card

ROOT = Path(__file__).parents[2] / "sample_models"


@cache
def target() -> ShowerSet:
    return read_showers(ROOT / "data" / "pbwo4-electron.h5", limit=60)


def test_a_probe_opens_each_graph_once_and_asks_for_no_shower_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: Counter[str] = Counter()
    asked = []

    def open_spy(path: Path) -> object:
        opened[path.name] += 1
        return generate.open_session(path)

    def generate_spy(*args: object) -> np.ndarray:
        asked.append(args[2])
        return generate.generate(*args)  # type: ignore[arg-type]

    for module in (validate, scorer):
        monkeypatch.setattr(module, "open_session", open_spy)
    monkeypatch.setattr(validate, "generate", generate_spy)
    pulled = read_folder(ROOT / "versions" / "vae-hgcal")
    found = probe(pulled, target(), observe(target()))
    assert opened == {"model.onnx": 1, "likelihood.onnx": 1}
    assert len(asked) == 1
    assert np.isfinite(found.scores["fit"])


def test_a_critic_is_no_likelihood_and_never_ranked_as_one() -> None:
    pulled = read_folder(ROOT / "versions" / "3dgan-ild-siw")
    scores = probe(pulled, target(), observe(target())).scores
    assert np.isfinite(scores["critic"])
    assert "fit" not in scores


def test_what_a_probe_and_the_log_call_zero_shot_is_one_number() -> None:
    pulled, seen = read_folder(ROOT / "versions" / "vae-bgo"), observe(target())
    assert (
        probe(pulled, target(), seen, 3).zero_shot == zero_shot(pulled, target(), seen.values, 3)[0]
    )


def test_a_target_that_was_observed_is_ranked_alike_and_not_observed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = generator_card("m")
    card = card.model_copy(update={"domain": card.domain.model_copy(update={"particles": (11,)})})
    row = row_of("memory", Committed("m", 1, "sha256:m"), card)
    vectors = {"sha256:m": Kept(data=fingerprint(target())).vector}
    wanted = shortlist.shortlist(target(), [row], vectors)
    monkeypatch.setattr("catalog.scoring.asked.fingerprint", None)
    found = shortlist.shortlist(target(), [row], vectors, seen=observe(target()))
    assert found == wanted
    assert found.chosen[0].distance < 0.1
