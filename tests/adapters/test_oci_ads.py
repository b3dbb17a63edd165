"""Oracle's own `oracle-ads`, over real HTTP: it gets our files, and we get its."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("oci")
from catalog.manifest import MANIFEST_FILE
from catalog.stores.protocol import Committed
from tests.adapters.oci_double import Double
from tests.adapters.oci_double.place import configured_double, store_of
from tests.conformance.store_tools import (
    FILES,
    WEIGHTS,
    adopted_by,
    manifest_of,
    open_path,
    publish,
    read_file,
)

pytestmark = pytest.mark.slow  # importing it takes ten seconds and more


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    with configured_double(tmp_path_factory.mktemp("oci")) as double:
        yield double


def use_ads(double: Double, folder: Path, model_id: str) -> dict[str, str]:
    command = [sys.executable, "-m", "tests.adapters.oci_double.with_ads"]
    done = subprocess.run(
        [*command, double.url, str(folder), model_id],
        capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_ads_and_the_catalog_read_each_others_models(double: Double, tmp_path: Path) -> None:
    store = store_of(double, tmp_path)
    publish(store, "shower", FILES)
    for path, data in WEIGHTS.items():
        target = tmp_path / "theirs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    said = use_ads(double, tmp_path, next(row["id"] for row in double.models))

    assert (said["name"], said["label"]) == ("shower", "1")
    got = {p.relative_to(tmp_path / "got").as_posix(): p for p in (tmp_path / "got").rglob("*")}
    read = {path: file.read_bytes() for path, file in got.items() if file.is_file()}
    assert read == FILES | {MANIFEST_FILE: manifest_of(FILES).to_bytes()}

    (theirs,) = store.versions("theirs")
    assert theirs == Committed("theirs", 1, "")
    told = store.foreign(theirs)
    assert (told.framework, told.description) == ("scikit-learn", "made in a notebook")
    assert told.tags["owner"] == "somebody else"
    assert [(it.name, it.dtype) for it in told.inputs] == [("energy", "float64")]
    assert {path: open_path(store, theirs, path) for path in WEIGHTS} == WEIGHTS
    card = b"name: theirs\n"
    adopted = store.adopt(theirs, adopted_by(theirs, store, card), card)
    entries = {entry.path: entry for entry in adopted_by(adopted, store, card).entries}
    assert read_file(store, adopted, entries["card.yaml"]) == card
    assert use_ads(double, tmp_path, said["id"])["name"] == "theirs", "still theirs to download"
