"""The zip that is written as a stream: what every reader of zips makes of it."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import pytest

pytest.importorskip("oci")
from catalog_oci import _zip
from catalog_oci._zip import Body, Member, zip_chunks, zip_length

FILES = {"model.onnx": bytes(range(256)) * 700, "plots/ü.txt": b"a plot", "empty.bin": b""}


def members_of(files: dict[str, bytes], folder: Path | None = None) -> list[Member]:
    found = []
    for number, (name, data) in enumerate(files.items()):
        source: Path | bytes = data
        if folder:
            source = folder / str(number)
            source.write_bytes(data)
        found.append(Member(name, len(data), zlib.crc32(data), source))
    return found


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} <= {zipfile.ZIP_STORED}
        assert not any(info.flag_bits & 0x08 for info in archive.infolist())
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("limit", [0xFFFFFFFF, 1000, 1], ids=["small", "wide files", "all wide"])
def test_what_goes_in_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Also with the 64-bit fields, which files above 4 GB need, wherever they can appear."""
    monkeypatch.setattr(_zip, "_LIMIT", limit)
    members = members_of(FILES, tmp_path)
    data = b"".join(zip_chunks(members))
    assert unzipped(data) == FILES
    assert len(data) == zip_length(members)


def test_a_zip_of_nothing_is_a_zip() -> None:
    assert unzipped(b"".join(zip_chunks([]))) == {}


def test_the_same_files_make_the_same_zip(tmp_path: Path) -> None:
    once = b"".join(zip_chunks(members_of(FILES, tmp_path)))
    assert b"".join(zip_chunks(members_of(FILES))) == once


@pytest.mark.parametrize("size", [1, 1000, 1 << 20, -1])
def test_a_body_reads_in_any_pieces_and_knows_its_length_and_hash(size: int) -> None:
    import hashlib

    body = Body(members_of(FILES))
    pieces = list(iter(lambda: body.read(size), b""))
    whole = b"".join(zip_chunks(members_of(FILES)))
    assert b"".join(pieces) == whole and len(body) == len(whole)
    assert body.md5 == hashlib.md5(whole, usedforsecurity=False).digest()
    assert all(len(piece) == size for piece in pieces[:-1]) or size < 0
