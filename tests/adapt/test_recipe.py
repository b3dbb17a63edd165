"""Recipes as data: what is refused and how, and where defaults come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.adapt import recipe as recipes
from catalog.adapt.duration import parse_duration
from catalog.adapt.recipe import (
    Recipe,
    default_recipe,
    learning_rates,
    load_recipe,
    measured,
    parse_recipe,
    recipe_names,
)
from catalog.errors import BadFile, NotFound, UsageError
from catalog.strict_yaml import load_yaml

PARTS = {
    "in.weight": "embedder",
    "a.weight": "backbone.0",
    "b.weight": "backbone.7",
    "b.bias": "backbone.7",
    "out.weight": "head",
}


def test_every_shipped_recipe_reads_and_says_what_it_does() -> None:
    assert {"scratch", "full", "bitfit", "heads", "top-2", "lora"} <= set(recipe_names())
    for name in recipe_names():
        found = load_recipe(name)
        assert found.name == name
        assert found.about


def test_a_wrong_key_is_named_with_the_nearest_one() -> None:
    with pytest.raises(BadFile, match="mine: unknown key 'backbon_lr'; did you mean backbone_lr"):
        parse_recipe("strategy: full\nbackbon_lr: 1.0e-3\n", "mine")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("strategy: magic", "strategy"),
        ("backbone_lr: -1", "backbone_lr"),
        ("lora: {rank: 0}", "lora.rank"),
        ("strategy: lora", "strategy lora needs"),
        ("strategy: top-k", "top-k needs `top_k:`"),
        ("reinitialize: [middle]", "reinitialize.0"),
        ("ema: 1.0", "ema"),
        ("mesh: [1, 2]", "mesh"),
        ("- a list", "not a recipe"),
        ("a: *b", "mine: "),
    ],
)
def test_a_wrong_value_is_named_on_one_line(text: str, field: str) -> None:
    with pytest.raises(BadFile, match=field.replace("[", r"\[")) as refused:
        parse_recipe(text, "mine")
    assert refused.value.message.startswith("mine")


def test_a_users_own_recipe_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "slow.yaml"
    path.write_text("strategy: bitfit\nbackbone_lr: 1.0e-5\n")
    found = load_recipe(str(path))
    assert (found.name, found.strategy, found.backbone_lr) == ("slow", "bitfit", 1e-5)
    with pytest.raises(NotFound, match="shipped: .*bitfit"):
        load_recipe("no-such")


def test_learning_rates_by_part_and_strategy() -> None:
    assert learning_rates(Recipe(), PARTS, 0.1) == dict.fromkeys(PARTS, 0.1)
    own = learning_rates(Recipe(backbone_lr=1e-4, head_lr=5e-4), PARTS, 0.1)
    assert (own["in.weight"], own["a.weight"], own["out.weight"]) == (1e-4, 1e-4, 5e-4)
    assert set(learning_rates(Recipe(strategy="bitfit"), PARTS, 0.1)) == {"b.bias"}
    top = learning_rates(Recipe(strategy="top-k", top_k=1), PARTS, 0.1)
    assert set(top) == {"b.weight", "b.bias", "out.weight"}
    with pytest.raises(UsageError, match="unknown part 'tail'"):
        learning_rates(Recipe(), {"x": "tail"}, 0.1)


ROWS = """
- {family: f, recipe: full, showers: 100, w1: 0.2, settings: {backbone_lr: 0.5}, run: r}
- {family: f, recipe: bitfit, showers: 100, w1: 0.1, settings: {backbone_lr: 0.7}, run: r}
- {family: f, recipe: full, showers: 10000, w1: 0.01, settings: {backbone_lr: 0.2}, run: r}
- {family: f, recipe: bitfit, showers: 10000, w1: 0.02, run: r}
- {family: f, recipe: scratch, showers: 100, w1: 0.05, settings: {backbone_lr: 0.9}, run: r}
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "defaults.yaml").write_text(ROWS)
    own = recipes.files
    monkeypatch.setattr(recipes, "files", lambda name: _Folder(tmp_path, own(name)))


class _Folder:
    def __init__(self, changed: Path, shipped: Path) -> None:
        self._changed, self._shipped = changed, shipped

    def joinpath(self, *parts: str) -> Path:
        here = self._changed.joinpath(*parts)
        return here if here.exists() else self._shipped.joinpath(*parts)


@pytest.mark.usefixtures("rows")
def test_the_default_is_what_reached_the_lowest_w1_with_about_as_many_showers() -> None:
    assert default_recipe("f", 150).name == "bitfit"
    assert default_recipe("f", 150).backbone_lr == 0.7
    assert default_recipe("f", 5000).name == "full"
    assert default_recipe("f", 5000).backbone_lr == 0.2
    assert default_recipe("f", 150, scratch=True).backbone_lr == 0.9
    assert default_recipe("never measured", 150).name == "full"
    assert default_recipe("never measured", 150, scratch=True).name == "scratch"


@pytest.mark.usefixtures("rows")
def test_what_a_recipe_says_itself_is_not_replaced_by_what_was_measured() -> None:
    own = parse_recipe("backbone_lr: 0.3", "full.yaml", "full")
    assert measured(own, "f", 100).backbone_lr == 0.3
    assert measured(load_recipe("full"), "f", 100).backbone_lr == 0.5


def test_the_shipped_defaults_name_shipped_recipes_and_the_run_that_measured_them() -> None:
    rows = load_yaml((Path(recipes.__file__).parent / "defaults.yaml").read_text())
    families = {row["family"] for row in rows}
    assert "cvae" in families
    for family in families:
        for row in recipes._measured(family):
            assert measured(load_recipe(row.recipe), family, row.showers)
            assert row.run


def test_durations_are_read_as_people_write_them() -> None:
    assert [parse_duration(t) for t in ("90", "90s", "2min", "1.5h", "2 m")] == [
        90, 90, 120, 5400, 120,
    ]  # fmt: skip
    for wrong in ("", "0s", "soon", "5 parsecs", "-1s"):
        with pytest.raises(UsageError, match="no duration"):
            parse_duration(wrong)
