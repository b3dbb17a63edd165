"""A version's fingerprint: made with the folder, checked by the gate, found by the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog.adapt.version import finish_version
from catalog.card import read_card
from catalog.errors import CheckFailed, UsageError
from catalog.fingerprint import FINGERPRINT_FILE, Kept, fingerprint, rank, stack, write_kept
from catalog.fingerprint.axes import FEWEST
from catalog.fingerprint.file import read_kept
from catalog.fingerprint.version import SAMPLES, of_model, of_training, record_samples
from catalog.gate import check_folder
from catalog.index import Query, open_index
from catalog.publish import publish
from catalog.pull import read_folder
from catalog.settings import Settings
from catalog.stores.memory import MemoryStore
from catalog.sync import fetch_kept, sync
from tests.fingerprint.makers import taken
from tests.toys import generator_card, generator_folder, shower_set

pytest.importorskip("onnxruntime")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", store="memory")


def quiet(_: str) -> None:
    """Nobody listens."""


def test_a_finished_version_keeps_what_trained_it_and_what_it_generates(tmp_path: Path) -> None:
    folder, used = generator_folder(tmp_path / "toy"), shower_set(tmp_path / "f.h5", n=90)
    finish_version(folder, read_card(folder), [used])
    kept = read_kept(folder / FINGERPRINT_FILE)
    assert kept.data is not None
    assert kept.samples is not None
    assert kept.data.digest == fingerprint(used, FEWEST).digest
    assert len(kept.samples) == SAMPLES
    assert kept.data.n[kept.data.n > 0].min() >= FEWEST
    before = (folder / FINGERPRINT_FILE).read_bytes()
    finish_version(folder, read_card(folder), [used])
    assert (folder / FINGERPRINT_FILE).read_bytes() == before
    check_folder(folder)


def test_samples_cover_the_domain_of_the_card_and_repeat(tmp_path: Path) -> None:
    pulled = read_folder(generator_folder(tmp_path / "toy"))
    found = of_model(pulled)
    assert np.flatnonzero(found.n[:, 0]).tolist() == [4, 5, 6, 7, 8, 9]  # 1 to 100 GeV
    assert found.digest == of_model(pulled).digest
    assert np.nanmean(found.mean[..., 0]) == pytest.approx(1, abs=0.05)


def test_a_model_of_unknown_sampling_fraction_has_its_own_scale(tmp_path: Path) -> None:
    domain = generator_card("toy").domain
    detector = domain.detector.model_copy(update={"sampling_fraction": None})
    other = domain.model_copy(update={"detector": detector})
    found = of_model(read_folder(generator_folder(tmp_path / "toy", domain=other)))
    assert found.own_scale == SAMPLES


def test_a_model_without_energies_or_beyond_all_bins_has_no_samples(tmp_path: Path) -> None:
    domain = generator_card("toy").domain
    for name, window in (("none", None), ("hot", (2e4, 3e4))):
        folder = generator_folder(
            tmp_path / name, domain=domain.model_copy(update={"energy_gev": window})
        )
        with pytest.raises(UsageError):
            of_model(read_folder(folder))
        showers = shower_set(tmp_path / f"{name}.h5")
        finish_version(folder, read_card(folder), [showers])
        assert read_kept(folder / FINGERPRINT_FILE).samples is None
    assert of_training(showers.part(0, 2)) is None


def test_recording_samples_keeps_the_training_showers(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    write_kept(folder / FINGERPRINT_FILE, Kept(data=taken(200)))
    kept = record_samples(read_folder(folder))
    assert kept.data is not None
    assert kept.data.digest == taken(200).digest
    assert kept.samples is not None


def test_the_gate_refuses_a_fingerprint_that_is_none(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    np.savez(folder / FINGERPRINT_FILE, data_n=np.zeros(3))
    with pytest.raises(CheckFailed, match=r"fingerprint.npz: not a fingerprint"):
        check_folder(folder)


def test_publish_and_sync_put_the_same_vector_into_the_index(
    tmp_path: Path, settings: Settings
) -> None:
    store = MemoryStore()
    for name, depth in (("near", 6.0), ("far", 2.5)):
        folder = generator_folder(tmp_path / name, name=name, depth=depth)
        record_samples(read_folder(folder))
        with open_index(settings.home) as index:
            publish(folder, store, "memory", index, quiet)
    bare = generator_folder(tmp_path / "bare", name="bare")
    with open_index(settings.home) as index:
        done = publish(bare, store, "memory", index, quiet)  # without one it publishes as before
        rows, published = index.search(Query())[1], index.vectors()
        sync(store, "memory", index, quiet)
        assert index.vectors() == published
        assert set(published) == {row.digest for row in rows} - {done.version.digest}
        assert fetch_kept(store, done.version) is None
        assert all(not row.vector for row in rows)  # a search never reads them
    target = fingerprint(shower_set(tmp_path / "f.h5", n=100))
    order = rank(target, stack([published.get(row.digest, b"") for row in rows]))
    assert [row.name for row in rows] == ["bare", "far", "near"]
    assert order[0] == np.inf
    assert order[2] < order[1] < np.inf


def test_a_vector_goes_with_its_row(tmp_path: Path, settings: Settings) -> None:
    folder = generator_folder(tmp_path / "toy")
    record_samples(read_folder(folder))
    with open_index(settings.home) as index:
        publish(folder, MemoryStore(), "memory", index, quiet)
        assert len(index.vectors()) == 1
        index.forget_store("memory")
        assert index.vectors() == {}


def test_sync_lists_a_version_whose_fingerprint_is_damaged_and_says_so(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, folder, said = MemoryStore(), generator_folder(tmp_path / "toy"), []
    (folder / FINGERPRINT_FILE).write_bytes(b"PK no archive")
    monkeypatch.setattr("catalog.gate.check_fingerprint", lambda _: [])
    monkeypatch.setattr("catalog.contents.read_npz", lambda _: {})
    monkeypatch.setattr("catalog.publish.read_kept", lambda _: None)
    with open_index(settings.home) as index:
        publish(folder, store, "memory", index, quiet)
        sync(store, "memory", index, said.append, full=True)
        (row,) = index.search(Query())[1]
        assert row.task == "shower-generation"
        assert index.vectors() == {}
    assert said == ["toy@1: toy@1: fingerprint.npz: not a fingerprint: File is not a zip file"]
