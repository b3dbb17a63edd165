"""The file: small, exact, replaced in one step, and never believed before it was checked."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import BadFile, CatalogError
from catalog.fingerprint import (
    Kept,
    nearness,
    quantiles,
    rank,
    read_kept,
    vector_of,
    write_kept,
)
from catalog.fingerprint.file import _FIELDS, MAX_FINGERPRINT, parse_kept, to_bytes
from tests.fingerprint.makers import largest, taken

Members = dict[str, bytes]


def members(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Members) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return sink.getvalue()


def npy(array: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=True)
    return sink.getvalue()


@pytest.fixture(scope="module")
def good() -> bytes:
    return to_bytes(Kept(taken(400), taken(100, 1)))


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    kept = Kept(taken(400), taken(100, 1))
    write_kept(tmp_path / "f.npz", kept)
    found = read_kept(tmp_path / "f.npz")
    assert found.data is not None
    assert found.samples is not None
    assert found.data.digest == kept.data.digest
    assert found.samples.digest == kept.samples.digest
    assert found.best is found.samples
    assert Kept(data=found.data).best is found.data


def test_the_same_fingerprint_gives_the_same_bytes() -> None:
    assert to_bytes(Kept(taken(50))) == to_bytes(Kept(taken(50)))


def test_one_number_more_or_less_changes_the_digest() -> None:
    one, other = taken(50), taken(50)
    other.products[3, 7] += 1
    assert one.digest != other.digest


def test_the_largest_legal_fingerprint_fits_and_reads_back() -> None:
    whole = largest()
    data = to_bytes(Kept(whole))
    assert len(data) < MAX_FINGERPRINT
    assert parse_kept(data, "f.npz").best.digest == whole.digest


def test_samples_give_way_where_both_do_not_fit() -> None:
    kept = parse_kept(to_bytes(Kept(largest(), largest())), "f.npz")
    assert kept.data is not None
    assert kept.samples is None


def test_a_later_format_is_refused_with_a_sentence(good: bytes) -> None:
    parts = {**members(good), "format.npy": npy(np.array([2], np.uint8)), "new.npy": b"what"}
    with pytest.raises(BadFile, match="a fingerprint of format 2; this catalog reads up to 1") as e:
        parse_kept(packed(parts), "f.npz")
    assert "upgrade" in e.value.hint


def changed(name: str, change: Callable[[np.ndarray], None]) -> Callable[[Members], Members]:
    """A file in which the numbers of one field of the first part are others."""

    def spoil(parts: Members) -> Members:
        key, (shape, width) = f"data_{name}.npy", _FIELDS[name]
        planes = np.load(io.BytesIO(parts[key]))
        whole = np.zeros((planes.shape[1], 8), np.uint8)
        whole[:, :width] = planes.T
        values = whole.view("<i8").reshape(shape)
        change(values)
        back = np.ascontiguousarray(whole[:, :width].T)
        return {**parts, key: npy(back)}

    return spoil


def set_at(*at: object, to: int | None = None, by: int = 0) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[at] = values[at] + by if to is None else to

    return change


def without(name: str) -> Callable[[Members], Members]:
    return lambda parts: {key: data for key, data in parts.items() if key != name}


def other(name: str, data: bytes) -> Callable[[Members], Members]:
    return lambda parts: {**parts, name: data}


FULL = (8, 0)  # a bin with showers
HOSTILE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "no format": (without("format.npy"), "not a fingerprint"),
    "no counts": (without("data_counts.npy"), "not a fingerprint"),
    "format 0": (other("format.npy", npy(np.array([0], np.uint8))), "format 0"),
    "another member": (other("evil.npy", b"x"), "none of a fingerprint's"),
    "a member of another part": (other("train_n.npy", b"x"), "none of a fingerprint's"),
    "objects": (other("data_n.npy", npy(np.array([{}] * 128, object))), "not a fingerprint"),
    "floats": (other("data_n.npy", npy(np.full(16, np.nan))), "is not 128 bytes"),
    "too few": (other("data_n.npy", npy(np.zeros((4, 31), np.uint8))), "is not 128 bytes"),
    "too many": (other("data_n.npy", npy(np.zeros((4, 33), np.uint8))), "is not 128 bytes"),
    "a bomb": (other("data_n.npy", npy(np.zeros(10**7, np.uint8))), "takes 10,000,128 bytes"),
    "a header of a bomb": (
        other("data_n.npy", npy(np.zeros(128, np.uint8)).replace(b"(128,)", b"(9e9,)")),
        "not a fingerprint",
    ),
    "no npy": (other("data_n.npy", b"\0" * 300), "not a fingerprint"),
    "text": (other("data_n.npy", b""), "not a fingerprint"),
    "no showers": (changed("n", lambda n: n.fill(0)), "numbers of showers"),
    "billions of showers": (changed("n", set_at(*FULL, to=4_000_000_000)), "numbers of showers"),
    "a shower more": (changed("n", set_at(*FULL, by=1)), "histograms of other showers"),
    "a count more": (changed("counts", set_at(*FULL, 0, 3, by=1)), "histograms of other showers"),
    "beyond the axis": (changed("first", set_at(*FULL, 0, to=60_000)), "beyond their axes"),
    "too wide": (changed("shift", set_at(*FULL, 0, to=200)), "beyond their axes"),
    "sums of others": (changed("sums", set_at(*FULL, 0, to=1)), "sums that"),
    "large sums": (changed("sums", set_at(*FULL, 0, to=2**47)), "sums that"),
    "squares too small": (changed("squares", set_at(*FULL, 0, to=1)), "squares that"),
    "squares too large": (changed("squares", set_at(*FULL, 0, to=2**47)), "squares that"),
    "products": (changed("products", set_at(2, 5, to=2**47)), "products that"),
    "all of unknown scale": (changed("other", set_at(1, to=401)), "numbers of showers"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_in_words(good: bytes, what: str) -> None:
    spoil, words = HOSTILE[what]
    with pytest.raises(BadFile, match=words) as caught:
        parse_kept(packed(spoil(members(good))), "f.npz")
    assert caught.value.message.startswith("f.npz: ")
    assert caught.value.hint


def test_unspoilt_members_are_accepted(good: bytes) -> None:
    found = parse_kept(packed(members(good)), "f.npz").data
    assert found is not None
    assert found.digest == taken(400).digest


@pytest.mark.parametrize("keep", [0, 10, 3000, -30, -1])
def test_a_truncated_file_is_refused(good: bytes, keep: int) -> None:
    with pytest.raises(BadFile, match="not a fingerprint"):
        parse_kept(good[:keep], "f.npz")


def test_no_single_wrong_byte_is_a_crash(good: bytes) -> None:
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(good), 400):
        wrong = bytearray(good)
        wrong[at] ^= int(rng.integers(1, 256))
        try:
            parse_kept(bytes(wrong), "f.npz")  # a byte of a date in the archive changes nothing
        except BadFile:
            continue


def test_whatever_is_believed_can_be_compared(good: bytes) -> None:
    """Numbers changed at random are refused, or else every distance of them is one."""
    rng, accepted, parts = np.random.default_rng(0), 0, members(good)
    for name, (shape, width) in list(_FIELDS.items()) * 12:
        at = tuple(int(rng.integers(size)) for size in shape)
        step = int(rng.integers(1, 2 ** (8 * min(width, 3) - 1)) ** rng.random())
        spoilt = changed(name, set_at(*at, by=step))(parts)
        try:
            found = parse_kept(packed(spoilt), "f.npz").best
        except BadFile:
            continue
        accepted += 1
        near = nearness(found, taken(300, 7))
        assert np.isfinite([near.w1_geomean, near.frechet, near.covered]).all()
        assert np.isfinite(quantiles(found, np.array([0.1, 0.9]))).all()
        assert np.isfinite(rank(taken(300, 7), np.array([vector_of(found)]))).all()
    assert accepted > 5


def test_what_is_no_small_plain_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "large.npz").write_bytes(b"\0" * (MAX_FINGERPRINT + 1))
    for name in ("pipe.npz", "large.npz", "."):
        with pytest.raises(BadFile, match="not a plain file of at most 50,000 bytes"):
            read_kept(tmp_path / name)
    with pytest.raises(BadFile, match="No such file"):
        read_kept(tmp_path / "none.npz")


def test_a_writer_killed_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.npz"
    write_kept(path, Kept(taken(50)))
    before = path.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_kept(path, Kept(taken(60)))
    assert [p.name for p in tmp_path.iterdir()] == ["f.npz"]
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("none/f.npz", "file/f.npz"):
        with pytest.raises(CatalogError, match="cannot be written"):
            write_kept(tmp_path / place, Kept(taken(50)))
