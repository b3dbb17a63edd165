"""The engine: from a name and a version, a number or an alias, to an answer.

`asyncio.run(engine.pin(refs))` before the server listens, `engine.watch()` while it does. Every
face of the server, HTTP or gRPC, awaits `model` and `infer` on one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from catalog.errors import CatalogError, NotFound
from registry_server.engine.lane import Lane
from registry_server.engine.model import Model
from registry_server.engine.routes import Routes, is_number, unknown
from registry_server.engine.session import usable_cores
from registry_server.engine.slots import Slots
from registry_server.engine.source import Found, Source
from registry_server.engine.statistics import Tally
from registry_server.tensors import Array, Limits

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_WATCH_SECONDS = 1.0
_RETRY_SECONDS = 30.0  # after a version that an alias moved to could not be loaded


class Engine:
    """Models by reference. With `only` nothing but what was pinned is served.

    Parameters
    ----------
    memory : bytes that models may hold together; default half of this machine's
    threads : cores to compute on; default all that this process may use
    """

    def __init__(
        self,
        source: Source,
        limits: Limits | None = None,
        threads: int | None = None,
        *,
        memory: int | None = None,
        only: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self._source = source
        self._routes = Routes(source, only)
        self._slots = Slots(
            source, self.limits, threads or usable_cores(), memory or _half_of_memory()
        )
        self._seen: object = None

    @property
    def memory(self) -> tuple[int, int]:
        """(bytes that models hold, bytes that they may hold)."""
        return self._slots.used, self._slots.memory

    async def pin(self, refs: Sequence[str]) -> None:
        """Load models that stay. An alias among the references stays what it means.

        Raises
        ------
        CatalogError
        """
        for ref in refs:
            found = await self.in_thread(self._source.find, ref)
            async with self._slots.lease(found, pin=True):
                self._routes.pins[ref] = found

    async def find(self, name: str, version: str | None = None) -> Found:
        """The version that a number or an alias means; the newest without one. Loads nothing.

        Raises
        ------
        NotFound
        """
        route = (name, version)
        found = self._routes.known.get(route)
        if found is None:
            found = await self.in_thread(self._routes.find, name, version)
            self._routes.remember(route, found)
        return found

    async def model(self, name: str, version: str | None = None) -> Model:
        """That version, loaded and warm.

        Raises
        ------
        NotFound
        LoadFailed, Busy, NoRoom
            It cannot be loaded; no memory is free now; it never will be.
        """
        async with self.held(name, version) as lane:
            return lane.model

    async def infer(
        self,
        name: str,
        version: str | None,
        inputs: Mapping[str, Array],
        wanted: Sequence[str] = (),
        *,
        deadline: float | None = None,
    ) -> tuple[Model, dict[str, Array]]:
        """Run a model. Cancelling the call takes the request out of the queue.

        Parameters
        ----------
        wanted : names of outputs, in the order they shall have; none = all
        deadline : time of the event loop's clock, in seconds

        Raises
        ------
        UsageError, RunFailed, Expired, and those of `model`
        """
        # What `held` does, without its 10 microseconds.
        found = self._routes.known.get((name, version)) or await self.find(name, version)
        slot = self._slots.take(found)
        try:
            lane = slot.lane or await self._slots.ready(slot)
            return lane.model, await lane.submit(inputs, wanted, deadline)
        finally:
            self._slots.give(slot)

    @asynccontextmanager
    async def held(self, name: str, version: str | None = None) -> AsyncIterator[Lane]:
        """A version for several requests: the same until the block ends, wherever an alias goes.

        Raises
        ------
        Those of `model`
        """
        found = self._routes.known.get((name, version)) or await self.find(name, version)
        async with self._slots.lease(found) as lane:
            yield lane

    def models(self) -> list[Model]:
        """Every loaded version, by name and number."""
        return [lane.model for lane in self._slots.lanes()]

    async def index(self, name: str | None = None) -> list[tuple[Found, str]]:
        """(version, why it is not loaded or "") of what can be served, of one model or of all."""
        loaded = {(it.name, it.version) for it in self.models()}
        rows = {(it.name, it.version): it for it in self._routes.pins.values()}
        if not self._routes.only:
            listed = await self.in_thread(self._source.listing, name)
            rows = {(it.name, it.version): it for it in listed} | rows
        return [
            (it, "" if key in loaded else self._routes.why_absent(it))
            for key, it in sorted(rows.items())
            if name in (None, it.name)
        ]

    async def load(self, name: str) -> Model:
        """Load the newest version of a model, and every one that `unload` took away."""
        for found in [it for it in self._routes.unloaded if it.name == name]:
            async with self._slots.lease(found, pin=True):
                self._routes.unloaded.discard(found)
        self._routes.forget(name)
        return await self.model(name)

    def unload(self, name: str) -> None:
        """Unload every version of a model; what runs ends first.

        A model of the command line stays away until it is loaded again; any other is loaded again
        by the next request for it.

        Raises
        ------
        NotFound
        """
        gone = [lane.model for lane in self._slots.lanes() if lane.model.name == name]
        pinned = {it for it in self._routes.pins.values() if it.name == name}
        if not gone and not pinned:
            raise unknown(name)
        self._routes.unloaded |= pinned
        self._routes.forget(name)
        for model in gone:
            self._slots.unload((model.name, model.version))

    def statistics(
        self, name: str | None = None, version: int | None = None
    ) -> list[tuple[str, int, Tally, int]]:
        """(name, version, tally, requests waiting now) of every version that was ever loaded."""
        waiting = {(it.model.name, it.model.version): it.waiting for it in self._slots.lanes()}
        return [
            (*key, tally, waiting.get(key, 0))
            for key, tally in sorted(self._slots.tallies.items())
            if name in (None, key[0]) and version in (None, key[1])
        ]

    async def in_thread(self, work: Callable[..., _T], *args: Any) -> _T:
        """Await `work(*args)` on one of the engine's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._slots.pool, work, *args)

    async def watch(self) -> None:
        """Follow aliases and newest versions until cancelled: within a second or so."""
        seconds = _WATCH_SECONDS
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.refresh()
                seconds = _WATCH_SECONDS
            except CatalogError as exc:
                _log.warning("an alias moved, the version before it goes on being served: %s", exc)
                seconds = _RETRY_SECONDS

    async def refresh(self) -> None:
        """One look at what has moved: loaded and warm before the first request gets it.

        Raises
        ------
        CatalogError
            A version that an alias moved to cannot be loaded; the one before stays.
        """
        mark = await self.in_thread(self._source.mark)
        if mark == self._seen:
            return
        for ref, old in self._routes.moving():
            new = await self.in_thread(self._source.find, ref)
            if new != old:
                await self._repin(ref, old, new)
        for route, old in list(self._routes.known.items()):
            if route[1] is None or not is_number(route[1]):
                await self._reroute(route, old)
        self._seen = mark

    def close(self) -> None:
        """Finish what runs, drop what waits, forget every model."""
        self._routes.known.clear()
        self._routes.pins.clear()
        self._slots.close()

    async def _repin(self, ref: str, old: Found, new: Found) -> None:
        if old in self._routes.unloaded:
            self._routes.unloaded.add(new)
            self._routes.pins[ref] = new
            return
        async with self._slots.lease(new, pin=True):
            self._routes.pins[ref] = new
            self._routes.forget(new.name)
        if old not in self._routes.pins.values():
            self._slots.unpin((old.name, old.version))
            if self._routes.only:  # nobody can ask for it any more
                self._slots.unload((old.name, old.version))

    async def _reroute(self, route: tuple[str, str | None], old: Found) -> None:
        try:
            new = await self.in_thread(self._routes.find, *route)
        except NotFound:
            self._routes.known.pop(route, None)
            return
        if new != old:
            async with self._slots.lease(new):
                if route in self._routes.known:
                    self._routes.known[route] = new


def _half_of_memory() -> int:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 << 30
