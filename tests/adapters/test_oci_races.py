"""Two publishers of one version: the slower one finds what it was about to send gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import StoreError
from tests.conformance.store_tools import FILES, manifest_of, publish, upload_all

pytest.importorskip("oci")
from catalog_oci import _artifact
from tests.adapters.oci_double import Double
from tests.adapters.oci_double.place import configured_double, store_of


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Double]:
    with configured_double(tmp_path) as double:
        yield double


def test_the_slower_of_two_publishers_gets_the_version_of_the_faster(
    cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = store_of(cloud, tmp_path / "slow"), store_of(cloud, tmp_path / "fast")
    upload_all(slow, "shower", FILES)
    send, first = _artifact.send, []

    def late(*_: object) -> None:
        first.append(publish(fast, "shower", FILES))
        raise FileNotFoundError(2, "No such file or directory")

    first_time = iter([late])
    monkeypatch.setattr(_artifact, "send", lambda *a: next(first_time, send)(*a))
    assert slow.commit("shower", manifest_of(FILES), "", {}) == first[0]
    assert list(slow.versions("shower")) == first


def test_what_is_gone_and_nowhere_committed_is_said(
    cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(cloud, tmp_path)
    upload_all(store, "shower", FILES)

    def lost(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    with monkeypatch.context() as patch:
        patch.setattr(_artifact, "send", lost)
        with pytest.raises(StoreError, match="what waited to be sent is gone"):
            store.commit("shower", manifest_of(FILES), "", {})
    assert publish(store, "shower", FILES).version == 1
