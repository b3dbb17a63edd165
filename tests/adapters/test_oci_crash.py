"""Publishers that are killed: nothing torn is ever visible, nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("oci")
from catalog.manifest import parse_manifest
from catalog_oci import OciStore
from tests.adapters.oci_double import Double
from tests.adapters.oci_double.place import configured_double, store_of, uri_of
from tests.adapters.oci_double.zygote import POINTS
from tests.conformance.store_tools import manifest_of, numbered, read_file

_EVENTS = 60  # a publish of these files passes about so many points


class Zygote:
    """Publishes in processes that die as they are told."""

    def __init__(self, process: subprocess.Popen[str], double: Double, spool: Path) -> None:
        self._process, self._spool = process, spool
        self._uri = uri_of(double)

    def publish(self, name: str, number: int, die: str | int | None = None) -> dict[str, Any]:
        order = {"uri": self._uri, "spool": str(self._spool), "name": name, "number": number}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order | {"die": die}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "failed" not in answer, answer
        return answer


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    with configured_double(tmp_path_factory.mktemp("oci")) as double:
        yield double


@pytest.fixture(scope="module")
def zygote(double: Double, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    command = [sys.executable, "-m", "tests.adapters.oci_double.zygote"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        yield Zygote(process, double, tmp_path_factory.mktemp("spool"))
        process.stdin.close()


def digests_of(store: OciStore, name: str) -> list[str]:
    """The digests of all visible versions, in order: numbered densely, every byte verified."""
    versions = list(store.versions(name))
    assert [version.version for version in versions] == list(range(1, len(versions) + 1))
    for version in versions:
        manifest = parse_manifest(store.manifest(version), "store")
        files = {entry.path: read_file(store, version, entry) for entry in manifest.entries}
        assert manifest_of(files).digest == version.digest
    return [version.digest for version in versions]


@pytest.mark.parametrize("point", POINTS)
def test_a_publish_that_is_killed_there_can_be_run_again(
    double: Double, zygote: Zygote, tmp_path: Path, point: str
) -> None:
    name = point.replace(" ", "-")
    store = store_of(double, tmp_path)
    assert zygote.publish(name, 1, point) == {"killed": point}
    first = manifest_of(numbered(1)).digest
    assert digests_of(store, name) in ([], [first])
    # Somebody else publishes before the one that died comes back.
    second = zygote.publish(name, 2)["digest"]
    again = zygote.publish(name, 1)
    assert again["digest"] == first
    found = digests_of(store_of(double, tmp_path), name)
    assert sorted(found) == sorted([first, second])
    assert found[again["version"] - 1] == first


def kill_at_random(double: Double, zygote: Zygote, folder: Path, times: int, seed: int) -> None:
    choose, name = random.Random(seed), f"random{seed}"
    acknowledged: set[str] = set()
    store = store_of(double, folder)
    for _ in range(times):
        number = choose.randrange(5)
        answer = zygote.publish(name, number, choose.randrange(1, _EVENTS))
        acknowledged |= {answer["digest"]} if "digest" in answer else set()
        assert acknowledged <= {version.digest for version in store.versions(name)}
    for number in range(5):
        acknowledged.add(zygote.publish(name, number)["digest"])
    assert set(digests_of(store, name)) == acknowledged


def test_twenty_kills_at_random_tear_and_lose_nothing(
    double: Double, zygote: Zygote, tmp_path: Path
) -> None:
    kill_at_random(double, zygote, tmp_path, times=20, seed=1)


@pytest.mark.slow
def test_a_hundred_kills_at_random_tear_and_lose_nothing(
    double: Double, zygote: Zygote, tmp_path: Path
) -> None:
    kill_at_random(double, zygote, tmp_path, times=100, seed=2)
