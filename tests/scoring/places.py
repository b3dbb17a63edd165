"""A catalog of toy generators in memory, to ask for recommendations."""

from __future__ import annotations

from pathlib import Path

from catalog.adapt.log import Adaptation
from catalog.index import open_index
from catalog.publish import publish
from catalog.pull import fetch
from catalog.scoring.recommend import Recommendation, recommend
from catalog.seen import keys_of, write_seen
from catalog.settings import Settings
from catalog.showers import ShowerSet
from catalog.stores.memory import MemoryStore
from tests.toys import generator_folder


def _quiet(_: str) -> None:
    pass


class Place:
    """A memory store whose versions are already in the cache."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(root / "home", root / "cache", "memory")
        self.store, self.root = MemoryStore(), root

    def add(self, name: str, seen: ShowerSet | None = None, **how: object) -> None:
        """Publish a toy; `seen` are showers that its card says it was trained on."""
        with open_index(self.settings.home) as index:
            folder = generator_folder(self.root / name, name=name, **how)
            if seen is not None:
                write_seen(folder, keys_of(seen))
            done = publish(folder, self.store, "memory", index, _quiet)
        fetch(done.version, self.settings, self.store)

    def ask(
        self, target: ShowerSet, log: list[Adaptation] | None = None, **how: object
    ) -> Recommendation:
        """Recommend for a target."""
        with open_index(self.settings.home) as index:
            return recommend(target, index, self.settings, log or [], _quiet, **how)
