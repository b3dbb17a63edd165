"""The gate against broken and hostile version folders, and the cards in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog.card import CARD_FILE, Training, card_yaml, parse_card, read_card
from catalog.domain.domain import ShapeSpec
from catalog.errors import CheckFailed
from catalog.index import Query, open_index
from catalog.manifest import Entry, Manifest, hash_stream
from catalog.stores.memory import MemoryStore
from catalog.sync import sync
from tests.toys import generator_card, generator_folder

TEXT = card_yaml(generator_card("toy"))


def card_with(line: str) -> str:
    """The text of a good card, with one more line in `training`."""
    return f"{TEXT}training:\n  {line}\n"


HOSTILE = {
    "a day that is none": ("dataset: 2026-13-45", "reads as a date: put it in quotes"),
    "a day": ("dataset: 2026-11-05", "reads as a date: put it in quotes"),
    "a long number": ("seed: " + "9" * 5000, "a int of 5000 characters"),
    "a long number of minutes": ("seed: 1" + ":59" * 200_000, "characters"),
    "a word as number": ("seed: !!int abc", "'abc' is not a valid int"),
    "nothing as number": ("seed: !!int ''", "'' is not a valid int"),
    "a word as yes or no": ("seed: !!bool abc", "'abc' is not a valid bool"),
    "a word as date": ("dataset: !!timestamp abc", "reads as a date"),
    "a set": ("recipe: !!set {a, b}", "only text, numbers"),
    "an object": ("recipe: !!python/object:os.system {}", "only text, numbers"),
    "a merge key": ("<<: {seed: 1}", "merge keys"),
    "a key twice": ("{seed: 1, 'seed': 2}", "the key 'seed' appears twice"),
    "half a surrogate pair": (r'recipe: {k: "\ud800"}', "half of a surrogate pair"),
    "half a pair as key": (r'recipe: {"\udc00": 1}', "half of a surrogate pair"),
    "a recipe of infinity": ("recipe: {lr: .inf}", "must be finite"),
    "a recipe beyond 64 bits": ("recipe: {k: 99999999999999999999}", "beyond 64 bits"),
    "a deep recipe": ("recipe: {k: [[[[[[1]]]]]]}", "nested more than 4 deep"),
    "a bottomless recipe": ("recipe: " + "[" * 50_000, "nested too deeply"),
    "a long recipe": (
        f"recipe: {{{', '.join(f'k{n}: 1' for n in range(1001))}}}",
        "at most 1000",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_card_is_refused_in_words(what: str) -> None:
    line, words = HOSTILE[what]
    with pytest.raises(CheckFailed, match=words):
        parse_card(card_with(line), "card.yaml")


def test_a_key_given_twice_is_named() -> None:
    with pytest.raises(CheckFailed, match="the key 'licence' appears twice"):
        parse_card(f"{TEXT}licence: MIT\n", "card.yaml")


def test_a_particle_of_thirty_digits_is_refused() -> None:
    with pytest.raises(CheckFailed, match="domain.particles.0"):
        parse_card(TEXT.replace("- 22\n", f"- {'9' * 30}\n"), "card.yaml")
    assert parse_card(TEXT.replace("- 22\n", "- 1000822080\n"), "card.yaml")  # a lead nucleus


def test_the_unit_one_needs_no_quotes() -> None:
    card = parse_card(TEXT.replace("role: noise\n", "role: noise\n  unit: 1\n"), "card.yaml")
    assert card == parse_card(TEXT, "card.yaml")
    with pytest.raises(CheckFailed) as caught:
        parse_card(TEXT.replace("role: noise\n", "role: noise\n  unit: true\n"), "card.yaml")
    assert len(caught.value.problems) == 1


def test_a_recipe_of_plain_values_keeps_its_bytes() -> None:
    recipe = {
        "strategy": "full",
        "lr": 1e-3,
        "layers": [64, 32],
        "tuned": True,
        "note": "é\U0001f600",
    }
    text = card_yaml(generator_card("toy", training=Training(recipe=recipe)))
    assert card_yaml(parse_card(text, "card.yaml")) == text


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_sparse(path: Path) -> None:
    os.truncate(path, 30_000_000_000)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(make_pipe, "is a pipe"), (make_folder, "is a folder"), (make_sparse, "30,000,000,000 bytes")],
)
def test_a_card_that_is_no_small_file_is_never_read(tmp_path: Path, spoil, words: str) -> None:
    (tmp_path / CARD_FILE).write_text(TEXT)
    spoil(tmp_path / CARD_FILE)
    with pytest.raises(CheckFailed, match=words):
        read_card(tmp_path)


def store_with_card(text: str) -> MemoryStore:
    """A store into which somebody committed a card without asking the gate."""
    store, path = MemoryStore(), text.encode("utf-8", "surrogatepass")
    import io

    digest, size = hash_stream(io.BytesIO(path))
    manifest = Manifest((Entry(CARD_FILE, size, digest),))
    store.upload("bad", manifest, manifest.entries[0], io.BytesIO(path))
    store.commit("bad", manifest, "", {})
    return store


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("- 22\n", f"- {'9' * 30}\n"),
        card_with(r'recipe: {k: "\ud800"}'),
        card_with("seed: !!bool abc"),
        "\ud800",
        "- a list",
    ],
)
def test_sync_lists_any_unreadable_card_and_says_why(tmp_path: Path, text: str) -> None:
    said: list[str] = []
    with open_index(tmp_path) as index:
        assert sync(store_with_card(text), "memory", index, said.append) == 1
        row = index.search(Query())[1][0]
    assert (row.ref, row.task) == ("bad@1", None)
    assert said[0].startswith("bad@1: ")


def test_sync_survives_what_nobody_thought_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OverflowError("Python int too large")

    monkeypatch.setattr("catalog.sync.row_of", fail)
    said: list[str] = []
    with open_index(tmp_path) as index:
        assert sync(store_with_card(TEXT), "memory", index, said.append) == 1
    assert said == ["bad@1: OverflowError: Python int too large"]


def test_nothing_is_committed_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from catalog.publish import publish

    def fail(*_: object) -> None:
        raise OverflowError("Python int too large")

    monkeypatch.setattr("catalog.publish.row_of", fail)
    store, folder = MemoryStore(), generator_folder(tmp_path / "toy")
    with open_index(tmp_path) as index, pytest.raises(OverflowError):
        publish(folder, store, "memory", index, lambda _: None)
    assert list(store.versions()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depth_x0": (-1.0, 1.0)}, "the front face is at 0"),
        ({"b_rm": (-1.0, 1.0)}, "are radii of a polar shape"),
        ({"a": (0.0, 6.3)}, "more than a full turn"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changes: dict, words: str) -> None:
    good: dict = {"kind": "polar", "depth_x0": (0, 1), "a": (0, 6.2831853), "b_rm": (0, 1)}
    assert ShapeSpec(**good)
    with pytest.raises(ValueError, match=words):
        ShapeSpec(**{**good, **changes})
