"""A process that replicates versions from memory to an embedded MLflow registry."""

from __future__ import annotations

import io
from pathlib import Path

from catalog.card import card_yaml
from catalog.index import open_index
from catalog.replicate import Side, choose, replicate
from catalog.stores.memory import MemoryStore
from catalog_mlflow import MlflowStore
from catalog_mlflow._place import parse_place
from tests.catalog.shelf import silent
from tests.conformance.store_tools import manifest_of
from tests.toys import generator_card


def opened(home: Path) -> MlflowStore:
    return MlflowStore(parse_place("mlflow", home))


def source(count: int) -> MemoryStore:
    """The same versions in every process; their weights are only bytes, nothing runs them."""
    store = MemoryStore()
    for number in range(count):
        card = card_yaml(generator_card("toy", description=f"number {number}"))
        files = {
            "card.yaml": card.encode(),
            "model.onnx": b"%d" % number * 100_000,
            "plots/one.txt": b"one",
        }
        manifest = manifest_of(files)
        for entry in manifest.entries:
            store.upload("toy", manifest, entry, io.BytesIO(files[entry.path]))
        store.commit("toy", manifest, "", {})
    return store


def replicate_all(count: int, there: Path, flag: Path) -> list[int]:
    """Replicate all, one after the other; `flag` appears when the first one begins.

    Returns how many files of each were sent.
    """
    here, target = Side(source(count), "here"), Side(opened(there), "there")
    list(target.store.versions())
    flag.touch()
    with open_index(there) as index:
        done = [
            replicate(it, here, target, index, silent, silent) for it in choose(here.store, "*")
        ]
    return [len(it.sent) for it in done]
