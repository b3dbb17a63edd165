"""The extra tier of a few gradient steps, and the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from catalog.adapt.family import CHECKPOINT_FILE, Checkpoint
from catalog.adapt.log import Adaptation
from catalog.errors import BadFile, MissingExtra, UsageError
from catalog.scoring import tried
from catalog.scoring.chart import check_picture, draw
from catalog.scoring.present import as_dict, human
from catalog.scoring.recommend import Recommendation
from catalog.showers import PHYSICS_SHAPE
from tests.scoring.places import Place
from tests.toys import shower_set

SCORES = {"good": 0.2, "bad": 0.6, "broken": None, "stranger": 0.1}
RUN = Adaptation(
    family="toy", strategy="full", model="sha256:m", model_ref="m@1", target="elsewhere",
    target_digest="sha256:t", pdg=22, showers=80, steps=800, seed=0, zero_shot=2.0, reached=0.5,
    floor=0.1, seconds=30.0, device="cpu", date="2026-11-23",
)  # fmt: skip


class FamilyDouble:
    """Ends where its checkpoint says; from scratch at 0.4."""

    def fresh(self, _sets):
        return {"score": 0.4}

    def shape(self, _config):
        return PHYSICS_SHAPE

    def train(self, sets, start, plan, _judge, _running):
        assert plan.steps == tried.STEPS
        assert len(sets[0].judge_gev) >= 300
        last = SimpleNamespace(score=start.config["score"])
        return SimpleNamespace(curve=(SimpleNamespace(score=0.0), last))


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> Checkpoint:
        assert path.name == CHECKPOINT_FILE
        name = (path.parent / "card.yaml").read_text().split("name: ")[1].split()[0]
        if SCORES[name] is None:
            raise BadFile("damaged")
        return Checkpoint("toy", {"score": SCORES[name]}, {})

    monkeypatch.setattr(tried, "load_family", lambda _: FamilyDouble())
    monkeypatch.setattr(tried, "read_checkpoint", read)


@pytest.fixture
def asked(tmp_path: Path, doubled: None) -> Recommendation:
    place = Place(tmp_path)
    for name, depth in (("bad", 6.0), ("broken", 5.0), ("good", 4.0)):
        place.add(name, depth=depth)
    return place.ask(shower_set(tmp_path / "f.h5", n=80), gradients=True)


def test_what_a_few_steps_bring_nearest_comes_first_beside_scratch(asked: Recommendation) -> None:
    assert [c.ref for c in asked.ranking] == ["good@1", "bad@1", "broken@1"]
    assert (asked.verdict, asked.tried) == ("adapt", 0.4)
    rows = as_dict(asked)["ranking"]
    assert [row["stage"] for row in rows] == ["gradients", "gradients", "probe"]
    assert rows[0]["probe"] == {"steps": tried.STEPS, "w1_geomean": 0.2}
    assert "40 STEPS" in human(asked, "f.h5")


def test_a_model_that_is_not_predicted_is_tried_beside_the_best_two(
    tmp_path: Path, doubled: None
) -> None:
    place = Place(tmp_path)
    for name, depth in (("bad", 6.0), ("broken", 5.0), ("good", 4.0)):
        place.add(name, depth=depth)
    place.add("stranger", depth=3.0, family="3dgan")
    runs = [replace(RUN, seed=seed) for seed in range(3)]
    target = shower_set(tmp_path / "f.h5", n=80)
    assert place.ask(target, runs).ranking[-1].ref == "stranger@1"
    found = place.ask(target, runs, gradients=True)
    assert found.ranking[0].ref == "stranger@1"
    assert found.verdict == "adapt"
    assert "too few recorded runs to predict where both end" in found.reason
    assert sum(c.tried is not None for c in found.ranking) == 2  # the third is broken


def test_without_torch_the_tier_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise MissingExtra("train", "the model family 'toy'")

    monkeypatch.setattr(tried, "load_family", missing)
    place = Place(tmp_path)
    place.add("one")
    with pytest.raises(MissingExtra) as caught:
        place.ask(shower_set(tmp_path / "f.h5", n=80), gradients=True)
    assert "[train]" in caught.value.hint


def test_why_names_what_fits_and_what_does_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.add("shallow", depth=3.0)
    found = place.ask(shower_set(tmp_path / "f.h5", n=80, depth=8.0))
    why = as_dict(found)["ranking"][0]["why"]
    assert len(why["fits"]) == len(why["off"]) == 3
    assert max(each["w1"] for each in why["fits"]) < min(each["w1"] for each in why["off"])
    depth = next(o for o in found.ranking[0].ran.probe.observables if o.name == "depth_mean")
    assert depth.shift < 0
    assert "; has no fingerprint" in human(found, "f.h5")


def test_the_picture_is_a_png_and_is_refused_before_any_work(
    tmp_path: Path, asked: Recommendation
) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "ranking.png"
    assert draw(asked, path) == f"wrote {path}"
    assert path.read_bytes().startswith(b"\x89PNG")
    for wrong in (tmp_path / "ranking.pdf", tmp_path / "absent" / "ranking.png"):
        with pytest.raises(UsageError):
            check_picture(wrong)
    assert "not drawn" in draw(replace(asked, ranking=()), tmp_path / "other.png")
    assert not (tmp_path / "other.png").exists()
