"""The models in memory: loaded once for all who ask, kept while they run, the oldest leave first.

Bytes are measured (`session.held_bytes`) when a model is loaded. Before that a guess is set aside,
or what the same digest took last time. Everything here happens on the event loop; only loading
itself is in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from catalog.errors import CatalogError, UsageError
from registry_server.engine.lane import Lane
from registry_server.engine.load import guessed_bytes, load
from registry_server.engine.model import Model
from registry_server.engine.session import give_back_memory
from registry_server.engine.source import Found, Source
from registry_server.engine.statistics import Tally
from registry_server.errors import Busy, LoadFailed, NoRoom
from registry_server.tensors import Limits

_T = TypeVar("_T")
Key = tuple[str, int]


@dataclass(eq=False)
class Slot:
    """One version in memory, or on its way there.

    leases : requests that hold it; with any it is not unloaded
    pinned : never the one that leaves to make room
    """

    found: Found
    loaded: asyncio.Task[Lane] | None
    leases: int = 0
    pinned: bool = False
    bytes: int = 0
    lane: Lane | None = None


@dataclass
class Slots:
    """Models by name and version, within `memory` bytes. `threads` compute, for all of them."""

    source: Source
    limits: Limits
    threads: int
    memory: int
    tallies: dict[Key, Tally] = field(default_factory=dict)
    used: int = 0

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="engine")
        self._fetching = ThreadPoolExecutor(4, thread_name_prefix="fetch")
        self._opening = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._turn = asyncio.Lock()
        self._slots: dict[Key, Slot] = {}  # the least recently used first
        self._leaving: set[Slot] = set()
        self._sizes: dict[str, int] = {}  # measured, by digest
        self._freed = asyncio.Event()

    def take(self, found: Found) -> Slot:
        """Hold a version, loaded or on its way there, until `give`; loaded once for all who ask.

        Raises
        ------
        UsageError
            Another version has the same name and number.
        """
        key = (found.name, found.version)
        slot = self._slots.pop(key, None)
        if slot is None:
            loaded = asyncio.create_task(self._load(found))
            loaded.add_done_callback(lambda task: self._loaded(key, task))
            slot = Slot(found, loaded)
        self._slots[key] = slot  # the last: used just now
        if slot.found.digest != found.digest:
            raise UsageError(
                f"two different models are called {found.ref}:"
                f" {slot.found.digest} and {found.digest}",
                "serve one of them, or each with its own `catalog serve --port`",
            )
        slot.leases += 1
        return slot

    def give(self, slot: Slot) -> None:
        """Hold a version no longer."""
        slot.leases -= 1
        if not slot.leases:
            self._freed.set()
            if slot in self._leaving:
                self._drop(slot)

    async def ready(self, slot: Slot, *, pin: bool = False) -> Lane:
        """The lane of a version that is held, once it is loaded; with `pin` it stays.

        Raises
        ------
        CatalogError
        """
        slot.pinned = slot.pinned or pin
        return slot.lane or await self._awaited(slot, pin)

    @asynccontextmanager
    async def lease(self, found: Found, *, pin: bool = False) -> AsyncIterator[Lane]:
        """A version, loaded and kept while the block runs."""
        slot = self.take(found)
        try:
            yield await self.ready(slot, pin=pin)
        finally:
            self.give(slot)

    def lanes(self) -> list[Lane]:
        """Every loaded version, by name and number."""
        found = [slot.lane for slot in self._slots.values() if slot.lane]
        return sorted(found, key=lambda lane: (lane.model.name, lane.model.version))

    def unload(self, key: Key) -> None:
        """Forget a version; what runs of it ends first."""
        slot = self._slots.get(key)
        if slot is not None and slot.lane is not None:
            self._retire(slot)

    def unpin(self, key: Key) -> None:
        """Let a version go when room is needed."""
        slot = self._slots.get(key)
        if slot is not None:
            slot.pinned = False

    def close(self) -> None:
        """Finish what runs, drop what waits, forget every model."""
        for pool in (self._fetching, self._opening, self.pool):
            pool.shutdown(cancel_futures=True)
        self._slots.clear()
        self._leaving.clear()
        self.used = 0
        give_back_memory()

    async def _awaited(self, slot: Slot, pin: bool) -> Lane:
        assert slot.loaded is not None  # noqa: S101  a slot without a lane is being loaded
        try:
            # Shielded: a caller that goes away does not stop the loading for the others.
            return await asyncio.shield(slot.loaded)
        except (Busy, NoRoom):
            raise
        except CatalogError as exc:
            if pin:  # told to whoever starts the server, not to a client: it may hold paths
                raise
            what = f"{slot.found.ref} cannot be loaded"
            raise LoadFailed(what, "the server's log says why") from exc

    async def _load(self, found: Found) -> Lane:
        version = await _in(self._fetching, self.source.fetch, found)
        guess = self._sizes.get(found.digest)
        if guess is None:
            guess = await _in(self._fetching, guessed_bytes, version.folder)
        async with self._turn:
            await self._make_room(guess, guess, found.ref)
            self.used += guess
            try:
                args = (version, found, self.limits, self.threads)
                model = await _in(self._opening, load, *args)
            finally:
                self.used -= guess
            return await self._keep(model)

    async def _keep(self, model: Model) -> Lane:
        key = (model.name, model.version)
        slot = self._slots[key]
        slot.bytes = min(model.bytes, self._sizes.get(model.digest, model.bytes))
        self._sizes[model.digest] = slot.bytes
        self.used += slot.bytes
        tally = self.tallies.setdefault(key, Tally())
        lane = slot.lane = Lane(model, self.pool, self.threads, tally)
        try:
            await self._make_room(0, slot.bytes, model.ref)  # the guess may have been too small
        except CatalogError:
            self._retire(slot)
            raise
        return lane

    def _loaded(self, key: Key, task: asyncio.Task[Lane]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._slots.pop(key, None)  # whoever asks next tries again

    async def _make_room(self, need: int, size: int, ref: str) -> None:
        """Unload the least recently used until `need` bytes are free; wait for those that run."""
        pinned = sum(slot.bytes for slot in self._slots.values() if slot.pinned)
        if need + pinned > self.memory:
            raise NoRoom(
                f"{ref} needs {size / 1e9:.2g} GB; of the {self.memory / 1e9:.2g} GB for models"
                f" {pinned / 1e9:.2g} GB are taken for as long as the server runs",
                "start the server with a larger --memory-gb",
            )
        try:
            async with asyncio.timeout(self.limits.room_seconds):
                while self.used + need > self.memory:
                    oldest = next((it for it in self._slots.values() if _idle(it)), None)
                    if oldest is not None:
                        self._retire(oldest)
                        continue
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError as exc:
            raise Busy(f"no memory is free for {ref}: every other model is running") from exc

    def _retire(self, slot: Slot) -> None:
        self._slots.pop((slot.found.name, slot.found.version), None)
        if slot.leases:
            self._leaving.add(slot)
        else:
            self._drop(slot)

    def _drop(self, slot: Slot) -> None:
        """Let go of a version that nobody holds."""
        self._leaving.discard(slot)
        self.used -= slot.bytes
        slot.lane = slot.loaded = None
        # In the thread that loads: before the next model, and after this one is really gone.
        self._opening.submit(give_back_memory)
        self._freed.set()


def _idle(slot: Slot) -> bool:
    return slot.lane is not None and not slot.leases and not slot.pinned


async def _in(pool: ThreadPoolExecutor, work: Callable[..., _T], *args: object) -> _T:
    return await asyncio.get_running_loop().run_in_executor(pool, work, *args)
