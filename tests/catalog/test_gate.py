"""The gate against broken and hostile version folders, and the cards in them."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest

from catalog.card import CARD_FILE, Training, card_yaml, parse_card, read_card
from catalog.domain import TensorSpec
from catalog.domain.domain import ShapeSpec
from catalog.errors import CheckFailed
from catalog.gate import check_folder
from catalog.index import Query, open_index
from catalog.manifest import Entry, Manifest, hash_stream
from catalog.stores.memory import MemoryStore
from catalog.sync import sync
from catalog.testvectors import write_test_vectors
from tests.toys import GRID, generator_card, generator_folder

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
        assert sync(store_with_card(text), "memory", index, said.append).versions == 1
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
        assert sync(store_with_card(TEXT), "memory", index, said.append).versions == 1
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


def fix_batch(folder: Path, size: int, also_card: bool = False) -> None:
    """Make the model take exactly `size` cases; the graph says so, and the card if asked."""
    model = onnx.load(folder / "model.onnx")
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = size
    onnx.save(model, folder / "model.onnx")
    if also_card:
        card = read_card(folder)
        tensors = {
            side: tuple(
                spec.model_copy(update={"shape": (size, *spec.shape[1:])})
                for spec in getattr(card, side)
            )
            for side in ("inputs", "outputs")
        }
        (folder / CARD_FILE).write_text(card_yaml(card.model_copy(update=tensors)))


def hide_batch(folder: Path) -> None:
    """Make the graph claim a free batch and work only with the two cases of its test vectors."""
    model = onnx.load(folder / "model.onnx")
    column = next(t for t in model.graph.initializer if t.name == "column")
    column.CopyFrom(onnx.numpy_helper.from_array(np.array([2, 1, 1, 1], np.int64), "column"))
    onnx.save(model, folder / "model.onnx")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: fix_batch(folder, 2), r"\[-1, 1\] in the card, \[2, 1\] in the model"),
        (hide_batch, "runs with 2 cases but not with 3"),
    ],
)
def test_a_batch_that_is_not_as_free_as_the_card_says_is_refused(
    tmp_path: Path, spoil, words: str
) -> None:
    folder = generator_folder(tmp_path / "toy")
    spoil(folder)
    with pytest.raises(CheckFailed, match=words):
        check_folder(folder)


@pytest.mark.parametrize("size", [1, 5])
def test_a_fixed_batch_that_the_card_tells_is_published(tmp_path: Path, size: int) -> None:
    folder = generator_folder(tmp_path / "toy")
    fix_batch(folder, size, also_card=True)
    write_test_vectors(folder, read_card(folder))
    assert len(np.load(folder / "test_inputs.npz")["noise"]) == size
    assert check_folder(folder).card.name == "toy"


def test_a_tensor_too_large_for_test_vectors_is_refused_in_words(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    noise = TensorSpec(name="noise", dtype="float32", shape=(-1, 10**11), role="noise")
    card = generator_card("toy", inputs=(noise, generator_card("toy").inputs[1]))
    (folder / CARD_FILE).write_text(card_yaml(card))
    with pytest.raises(CheckFailed, match="takes 800,000,000,000 bytes for 2 cases"):
        write_test_vectors(folder, card)
    with pytest.raises(CheckFailed, match="takes 800,000,000,000 bytes for 2 cases"):
        check_folder(folder)


def test_noise_with_a_free_axis_beside_the_batch_is_refused(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    noise = TensorSpec(name="noise", dtype="float32", shape=(-1, -1), role="noise")
    with pytest.raises(CheckFailed, match="cannot be drawn"):
        write_test_vectors(
            folder, generator_card("toy", inputs=(noise, generator_card("toy").inputs[1]))
        )


def test_showers_that_do_not_lie_on_the_shape_are_refused(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    card = read_card(folder)
    assert card.domain.shape is not None
    shape = card.domain.shape.model_copy(update={"depth_x0": (0.0, 1.0, 2.0)})
    domain = card.domain.model_copy(update={"shape": shape})
    (folder / CARD_FILE).write_text(card_yaml(card.model_copy(update={"domain": domain})))
    with pytest.raises(CheckFailed, match=rf"showers on domain.shape have \[-1, 2, {GRID[1]}"):
        check_folder(folder)


PICKLE_0 = pickle.dumps({"weights": [1, 2, 3], "name": "critic"}, protocol=0)
PICKLE_TRICK = b"cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize(
    "data", [PICKLE_0, b"I1\n0" + PICKLE_0, pickle.dumps([1], 1)], ids=["text", "longer", "binary"]
)
@pytest.mark.parametrize(
    "name", ["critic.onnx", "deep/critic.ONNX", "weights.data", "a.png", "notes.txt", "a.csv"]
)
def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path, name: str, data: bytes) -> None:
    folder = generator_folder(tmp_path / "toy")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    with pytest.raises(CheckFailed, match=name):
        check_folder(folder)


def test_notes_that_only_begin_like_a_pickle_are_text(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    (folder / "notes.md").write_text("I. Training\n\nNo. 1 is best.")
    (folder / "table.csv").write_text("1.\n")
    assert check_folder(folder)


def test_external_data_of_a_model_is_admitted_and_nothing_else_of_that_name(
    tmp_path: Path,
) -> None:
    folder = generator_folder(tmp_path / "toy")
    onnx.save(
        onnx.load(folder / "model.onnx"), folder / "model.onnx",
        save_as_external_data=True, location="weights.data", size_threshold=100,
    )  # fmt: skip
    assert {e.path for e in check_folder(folder).manifest.entries} >= {"weights.data"}
    (folder / "other.data").write_bytes(b"\0" * 100)
    with pytest.raises(CheckFailed, match="other.data: is not the external data of any ONNX"):
        check_folder(folder)


@pytest.mark.parametrize(
    "name", ["model.onnx", "critic.onnx", "a.data", "a.npz", "a.txt", "manifest.json", "x/y",
             "test_inputs.npz", "checkpoint.safetensors"],
)  # fmt: skip
def test_a_pipe_is_refused_without_opening_it(tmp_path: Path, name: str) -> None:
    folder = generator_folder(tmp_path / "toy")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(CheckFailed, match=f"{name}: a pipe"):
        check_folder(folder)


@pytest.mark.parametrize("name", ["critic.onnx", "a.npz", "a.txt", "a.json", "a.png", "a.data"])
def test_a_huge_sparse_file_is_never_read(tmp_path: Path, name: str) -> None:
    folder = generator_folder(tmp_path / "toy")
    (folder / name).write_bytes(b"{}")
    make_sparse(folder / name)
    with pytest.raises(CheckFailed, match=name):
        check_folder(folder)


def test_stored_outputs_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    np.savez(folder / "test_outputs.npz", showers=np.full((2, *GRID), "x"))
    with pytest.raises(CheckFailed, match="no numbers"):
        check_folder(folder)


def test_an_archive_with_more_than_arrays_is_refused(tmp_path: Path) -> None:
    import zipfile

    folder = generator_folder(tmp_path / "toy")
    with zipfile.ZipFile(folder / "test_inputs.npz", "a") as archive:
        archive.writestr("payload.pkl", PICKLE_TRICK)
    with pytest.raises(CheckFailed, match="'payload.pkl' is none"):
        check_folder(folder)
