from __future__ import annotations

import hashlib
import io
import os
from itertools import pairwise
from pathlib import Path

import pytest

from catalog.errors import BadFile, DigestMismatch
from catalog.manifest import Entry, build_manifest, copy_verified, hash_stream
from catalog.streams import CHUNK, Flushing, Hasher, clone

SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 70 * CHUNK + 5)


def digest_of(data: bytes | bytearray) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_of_any_length_has_the_digest_of_its_bytes(size: int) -> None:
    data = os.urandom(size)
    assert hash_stream(io.BytesIO(data)) == (digest_of(data), size)


def test_chunks_of_all_lengths_are_hashed_in_order() -> None:
    data = os.urandom(9 * CHUNK)
    cuts = [0, 3, CHUNK + 3, 3 * CHUNK + 3, 3 * CHUNK + 4, 6 * CHUNK, 9 * CHUNK]
    with Hasher() as hasher:
        for start, stop in pairwise(cuts):
            hasher.update(data[start:stop])
        assert hasher.digest() == digest_of(data)


@pytest.mark.parametrize("size", SIZES)
def test_a_verified_copy_is_the_source(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    with (tmp_path / "copy").open("wb") as file:
        sink = Flushing(file)
        copy_verified(io.BytesIO(data), sink, Entry("weights.bin", size, digest_of(data)))
        sink.sync()
        assert (tmp_path / "copy").read_bytes() == data


@pytest.mark.parametrize("at", [0, CHUNK, 5 * CHUNK - 1])
def test_one_flipped_bit_anywhere_is_refused(at: int) -> None:
    data = bytearray(os.urandom(5 * CHUNK))
    entry = Entry("weights.bin", len(data), digest_of(data))
    data[at] ^= 1
    with pytest.raises(DigestMismatch):
        copy_verified(io.BytesIO(data), io.BytesIO(), entry)


def test_never_more_is_written_than_was_promised() -> None:
    data = os.urandom(3 * CHUNK)
    for size in (0, 7, CHUNK, 3 * CHUNK - 1):
        sink = io.BytesIO()
        with pytest.raises(DigestMismatch, match="got more bytes"):
            copy_verified(io.BytesIO(data), sink, Entry("a", size, digest_of(data[:size])))
        assert len(sink.getvalue()) <= size


def test_many_files_have_the_manifest_of_each(tmp_path: Path) -> None:
    files = {f"{number:02}/weights.bin": os.urandom(number * 100_003) for number in range(20)}
    for path, data in files.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(data)
    found = {it.path: (it.size, it.digest) for it in build_manifest(tmp_path).entries}
    assert found == {path: (len(data), digest_of(data)) for path, data in files.items()}


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadFile, match="pipe: only plain files"):
        build_manifest(tmp_path)


@pytest.mark.parametrize("how", ["kernel", "refused", "absent", "stops"])
def test_a_clone_is_the_source_and_shares_no_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    real, calls = os.copy_file_range, iter(range(9))

    def refuse(*args: int) -> int:
        raise OSError("another file system")

    def stop(source: int, target: int, count: int) -> int:
        return real(source, target, 1000) if next(calls) == 0 else refuse()

    if how == "absent":
        monkeypatch.delattr(os, "copy_file_range")
    elif how != "kernel":
        monkeypatch.setattr(os, "copy_file_range", {"refused": refuse, "stops": stop}[how])
    data = os.urandom(2 * CHUNK + 11)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    clone(source, target)
    assert target.read_bytes() == data
    assert not target.is_symlink()
    assert target.stat().st_ino != source.stat().st_ino
    assert target.stat().st_nlink == source.stat().st_nlink == 1
