"""Aliases: what they mean, who may have a protected one, and strangers' aliases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog import pull as pulling
from catalog.aliases import assign, check_alias, remove
from catalog.card import Card, Physics, read_card, write_card
from catalog.errors import CheckFailed, NotFound, UsageError
from catalog.index import Index, Query, open_index
from catalog.index.present import as_dict, human
from catalog.physics.gates import TOLERANCES
from catalog.publish import publish
from catalog.pull import resolve
from catalog.refs import parse_ref
from catalog.settings import load_settings
from catalog.showcase import describe, page
from catalog.stores import Alias, Committed
from catalog.stores.memory import MemoryStore
from catalog.sync import sync
from catalog.validation_file import (
    VALIDATION_FILE,
    Document,
    model_digest,
    sealed,
    to_bytes,
)
from tests.catalog.test_cli import run
from tests.toys import generator_folder, shower_file

PROTECTED = frozenset({"champion"})


def document(**changes: Any) -> dict[str, Any]:
    """What a validation of enough showers that passed every gate writes."""
    gates = [
        {"name": name, "value": 0.5 * limit, "limit": limit, "passed": True}
        for name, limit in TOLERANCES.items()
    ]
    return {
        "dataset": "full.h5", "detector": "clic-siw", "n": 300, "metrics": {}, "floor": {},
        "gates": gates, "passed": True, **changes,
    }  # fmt: skip


def failed(name: str = "response_bias") -> dict[str, Any]:
    gates = [
        {**gate, "value": 1.0, "passed": False} if gate["name"] == name else gate
        for gate in document()["gates"]
    ]
    return document(gates=gates, passed=False)


def physics(**changes: Any) -> Physics:
    return Document.model_validate(document(**changes)).physics()


class Place:
    """A store in memory with its index."""

    def __init__(self, root: Path, index: Index) -> None:
        self.store, self.index, self.root = MemoryStore(), index, root

    def put(self, **changes: object) -> Committed:
        folder = self.root / f"v{len(list(self.store.versions())) + 1}"
        generator_folder(folder, summary=f"made in {folder.name}", **changes)
        return self.publish(folder)

    def put_validated(
        self, told: dict[str, Any], before: tuple[Physics, ...] = (), **edits: Any
    ) -> Committed:
        """A version with a recorded validation, whose document was edited afterwards."""
        folder = self.root / f"v{len(list(self.store.versions())) + 1}"
        entry = Document.model_validate({**told, **edits}).physics()
        generator_folder(folder, summary=f"made in {folder.name}", physics=(*before, entry))
        whole = {**sealed({**told, "model": model_digest(folder)}), **edits}
        (folder / VALIDATION_FILE).write_bytes(to_bytes(whole))
        return self.publish(folder)

    def publish(self, folder: Path) -> Committed:
        return publish(folder, self.store, "memory", self.index, lambda _: None).version

    def assign(self, version: Committed, alias: str) -> int | None:
        return assign(version, alias, self.store, "memory", self.index, PROTECTED)

    def aliases(self) -> dict[str, int]:
        return {it.alias: it.version for it in self.store.aliases("toy")}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with open_index(tmp_path / "home") as index:
        made = Place(tmp_path, index)
        monkeypatch.setattr(pulling, "open_named", lambda _: made.store)
        yield made


def test_a_reference_by_alias_means_what_the_store_says_now(place: Place) -> None:
    first, second = place.put(), place.put()
    assert place.assign(first, "challenger") is None
    assert resolve("toy@challenger", place.index, "memory") == first
    place.store.point("toy", "challenger", 2)  # by other means, and without a sync
    assert resolve("toy@challenger", place.index, "memory") == second
    assert place.assign(first, "challenger") == 2


def test_an_unknown_alias_names_the_known_ones(place: Place) -> None:
    place.assign(place.put(), "challenger")
    with pytest.raises(NotFound, match="no alias 'champion' .it has challenger."):
        resolve("toy@champion", place.index, "memory")


def test_an_alias_of_a_version_that_is_not_indexed_says_to_sync(place: Place) -> None:
    place.assign(place.put(), "challenger")
    place.index.forget_store("memory")
    place.put()
    with pytest.raises(NotFound) as caught:
        resolve("toy@challenger", place.index, "memory")
    assert "catalog sync" in caught.value.hint


@pytest.mark.parametrize(
    "alias",
    ["", "3", "v3", "V12", "latest", "Latest", "Champion", "a b", "a_b", "-a", "ä", "a" * 64],
)
def test_what_reads_as_something_else_is_no_alias(alias: str) -> None:
    with pytest.raises(UsageError, match="cannot be an alias"):
        check_alias(alias)


@pytest.mark.parametrize("alias", ["champion", "a", "prod-2026", "x" * 63])
def test_names_of_small_letters_and_digits_are_aliases(alias: str) -> None:
    assert parse_ref(f"toy@{check_alias(alias)}").alias == alias


@pytest.mark.parametrize("alias", ["Champion", "prod_v2", "_x"])
def test_what_others_call_their_versions_can_be_asked_for(alias: str) -> None:
    assert parse_ref(f"lab:toy@{alias}").alias == alias


@pytest.mark.parametrize("ref", ["toy@latest", "toy@v3", "toy@V3"])
def test_the_newest_and_the_third_are_told_how_they_are_written(ref: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ref(ref)
    assert "toy@3" in caught.value.hint


def refused(place: Place, bad: Committed, words: str) -> None:
    good = place.put_validated(document())
    place.assign(good, "champion")
    with pytest.raises(CheckFailed, match=words) as caught:
        place.assign(bad, "champion")
    assert "catalog validate toy/ --data FILE --record" in caught.value.hint
    assert place.aliases() == {"champion": good.version}
    place.assign(bad, "challenger")  # what is not protected is free


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (failed(), "failed: response_bias"),
        (document(detector="pbwo4-block"), "validated on pbwo4-block, but is made for clic-siw"),
        (document(gates=document()["gates"][1:]), "did not judge response_bias"),
        (document(gates=[], passed=True), "did not judge response_bias"),
        (
            document(gates=[{"name": "looks_fine", "value": 0, "limit": 1, "passed": True}]),
            "did not judge",
        ),
        (document(reference="parametrised simulation"), "no full simulation"),
        (document(n=199), "199 showers against 199: at least 200"),
    ],
)
def test_a_protected_alias_has_to_be_earned(place: Place, told: dict[str, Any], words: str) -> None:
    refused(place, place.put_validated(told), words)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((), "holds no validation"),
        ((physics(),), "has no validation.json"),
        ((physics(detector=""),), "without its gates"),
    ],
)
def test_a_card_alone_earns_nothing(place: Place, results: tuple[Physics, ...], words: str) -> None:
    refused(place, place.put(physics=results), words)


def test_a_validation_without_its_checksum_earns_nothing(place: Place) -> None:
    refused(place, place.put_validated(document(), checksum=None), "no checksum")


ZEROS = [{**gate, "value": 0.0} for gate in document()["gates"]]
FLATTERED = [{**gate, "passed": True} for gate in failed()["gates"]]


@pytest.mark.parametrize(
    ("told", "edits", "words"),
    [
        (failed(), {"gates": FLATTERED, "passed": True}, "not judged by its own value and limit"),
        (failed(), {"passed": True}, "verdict is not that of its gates"),
        (failed(), {"gates": ZEROS, "passed": True}, "edited after it was written"),
        (document(n=20), {"n": 500}, "edited after it was written"),
    ],
)
def test_an_edited_validation_is_not_published(
    place: Place, told: dict[str, Any], edits: dict[str, Any], words: str
) -> None:
    with pytest.raises(CheckFailed, match=words):
        place.put_validated(told, **edits)


def test_an_edited_card_is_not_published_beside_its_validation(place: Place) -> None:
    place.put_validated(failed())
    folder = place.root / "v1"
    card = read_card(folder).model_copy(update={"physics": (physics(),)})
    write_card(folder, card)
    with pytest.raises(CheckFailed, match="not what the card's `physics` says"):
        place.publish(folder)


def test_a_validation_elsewhere_does_not_harm_the_one_at_home(place: Place) -> None:
    elsewhere = physics(passed=False, detector="pbwo4-block")
    place.assign(place.put_validated(document(), before=(elsewhere,)), "champion")


def test_the_store_is_asked_and_not_the_index(place: Place) -> None:
    bad = place.put()
    row = place.index.lookup("toy", store="memory", version=1, digest=None)[0]
    card = Card.model_validate_json(row.card).model_copy(update={"physics": (physics(),)})
    text = card.model_dump_json(exclude_defaults=True)
    place.index.put(type(row)(**{**vars(row), "card": text}))
    with pytest.raises(CheckFailed, match="holds no validation"):
        place.assign(bad, "champion")


def test_a_version_without_a_card_earns_nothing(place: Place) -> None:
    with pytest.raises(CheckFailed, match="it has no card"):
        place.assign(Committed("toy", 1, ""), "champion")


def test_champion_stays_protected_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().protected == {"champion"}
    for text, wanted in (("", set()), (" prod, staging  b ", {"prod", "staging", "b"})):
        monkeypatch.setenv("CATALOG_PROTECTED", text)
        assert load_settings().protected == {"champion"} | wanted


def test_search_and_show_tell_aliases_without_a_sync(place: Place) -> None:
    place.put()
    second = place.put_validated(document())
    place.assign(second, "champion")
    place.assign(second, "best")
    rows = [(row, place.index.places(row)) for row in place.index.search(Query())[1]]
    assert [as_dict(*row)["aliases"] for row in rows] == [[], ["best", "champion"]]
    assert "best champion" in human(rows)
    value = describe(second, place.index, "memory", "memory")
    assert value["aliases"] == ["best", "champion"]
    assert "best, champion" in page(value)
    remove("toy", "best", place.store, "memory", place.index)
    assert describe(second, place.index, "memory", "memory")["aliases"] == ["champion"]
    assert "ALIASES" not in human(rows[:1])


def test_sync_brings_aliases_and_forgets_removed_ones(place: Place) -> None:
    place.put()
    place.store.point("toy", "theirs", 1)
    for wanted in (["theirs"], []):
        sync(place.store, "memory", place.index, lambda _: None)
        assert [list(row.aliases) for row in place.index.search(Query())[1]] == [wanted]
        if wanted:
            place.store.point("toy", "theirs", None)


def test_publishing_again_keeps_the_aliases_of_the_index(place: Place) -> None:
    place.assign(place.put(), "best")
    publish(place.root / "v1", place.store, "memory", place.index, lambda _: None)
    assert place.index.search(Query())[1][0].aliases == ("best",)


@pytest.mark.parametrize(
    "alias", ["\x1b[31mred", "'; DROP TABLE versions; --", "<script>", "\ud800", "x" * 10_000, ""]
)
def test_hostile_aliases_of_strangers_are_data(place: Place, alias: str) -> None:
    place.put()
    place.store.point("toy", alias, 1)
    sync(place.store, "memory", place.index, lambda _: None)
    (row,) = place.index.search(Query())[1]
    assert len(row.aliases) == 1
    places = place.index.places(row)
    json.dumps(as_dict(row, places)).encode()
    human([(row, places)]).encode()


def test_an_alias_that_leads_nowhere_is_not_shown(place: Place) -> None:
    place.put()
    place.index.set_alias("memory", Alias("toy", "ghost", 99))
    assert place.index.search(Query())[1][0].aliases == ()


def test_the_path_to_a_champion_works_as_the_refusal_tells(tmp_path: Path) -> None:
    """Pull, validate, publish, name: with the commands that the error names."""
    pytest.importorskip("mlflow")
    shower_file(tmp_path / "full.h5", n=420)
    generator_folder(tmp_path / "toy")
    assert run(tmp_path, "publish", str(tmp_path / "toy")).returncode == 0
    refused = run(tmp_path, "alias", "toy@1", "champion")
    assert refused.returncode == 1 and "catalog validate toy/" in refused.stderr
    assert run(tmp_path, "alias", "toy@1", "challenger").returncode == 0
    copy, data = tmp_path / "copy", str(tmp_path / "full.h5")
    assert run(tmp_path, "pull", "toy@challenger", "--out", str(copy)).returncode == 0
    done = run(tmp_path, "validate", f"{copy}/", "--data", data, "--record", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["passed"] else 1)
    assert json.loads((copy / "validation.json").read_text()) == document
    published = run(tmp_path, "publish", str(copy), "--json")
    assert json.loads(published.stdout)["ref"] == "toy@2", published.stderr
    named = run(tmp_path, "alias", "toy@2", "champion", "--json")
    assert named.returncode == (0 if document["passed"] else 1)
    listed = json.loads(run(tmp_path, "alias", "toy", "--json").stdout)["aliases"]
    assert ("champion" in [it["alias"] for it in listed]) == document["passed"]
    shown = json.loads(run(tmp_path, "show", "toy@challenger", "--json").stdout)
    assert shown["ref"] == "toy@1" and shown["aliases"] == ["challenger"]
    assert run(tmp_path, "alias", "toy", "--rm", "challenger").returncode == 0
    assert run(tmp_path, "show", "toy@challenger").returncode == 3
