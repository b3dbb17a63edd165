"""One attempt at one job, in a process of its own: `python -m registry_server.api.work` + JSON.

What a stranger's file does to a reader, or a model to memory, it does to this process and not to
the server. It ends when its input is closed, so also when the server is killed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from catalog.errors import CatalogError, StoreError, Unreachable
from catalog.settings import Settings, load_settings
from registry_server.api import verb_work
from registry_server.api.jobs import Jobs, Taken
from registry_server.api.registry import Bounds
from registry_server.database import open_database

if TYPE_CHECKING:
    from catalog.showers import ShowerSet

_OFTEN = 0.5  # seconds between two lines of progress that are kept
Say = Callable[[str], None]
Tell = Callable[[int, int], None]
T = TypeVar("T")


def main() -> None:
    """Work on the job that the first line of the input describes."""
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    settings, job = load_settings(), Taken(**told)
    with closing(_patiently(lambda: open_database(settings))) as database:
        jobs = Jobs(database, Bounds())
        progress = _Progress(jobs, job)
        try:
            value = KINDS[job.kind](job, settings, progress.say, progress.tell)
        except StoreError as exc:
            print(f"job {job.id}: {exc}", file=sys.stderr)
            told = {"message": _of_store(exc), "hint": "ask for it again once that answers"}
            _patiently(lambda: jobs.put_off(job, told))
        except CatalogError as exc:
            told = {"message": _without_paths(exc.message, settings), "hint": exc.hint}
            _patiently(lambda: jobs.end(job, "failed", error=told))
        else:
            _patiently(lambda: jobs.end(job, "done", value))


def job_file(home: Path, job: str) -> Path:
    """Where the file is that a job was given."""
    return home / "jobs" / f"{job}.h5"


def _sync(job: Taken, settings: Settings, say: Say, tell: Tell) -> dict[str, Any]:
    from catalog.index import open_index
    from catalog.store_check import all_stores
    from catalog.stores import open_named
    from catalog.sync import sync

    told = []
    with open_index(settings) as index:
        wanted = job.asked["store"]
        for name in [wanted] if wanted else all_stores(settings, index):
            try:
                done = sync(open_named(name), name, index, say, full=job.asked["full"], told=tell)
                told.append({**asdict(done), "error": None})
            except CatalogError as exc:
                if wanted:
                    raise
                told.append({"store": name, "versions": index.count(name), "error": exc.message})
    return {"stores": told}


def _recommend(job: Taken, settings: Settings, say: Say) -> dict[str, Any]:
    from catalog.adapt.log import read_log
    from catalog.index import open_index
    from catalog.scoring.present import as_dict
    from catalog.scoring.recommend import recommend

    asked, target = job.asked, _target(job, settings)
    with open_index(settings) as index:
        log = read_log(settings.home)
        found = recommend(target, index, settings, log, say, asked["seed"], asked["models"])
    value = as_dict(found)
    if not asked.get("detector"):
        value["target"]["data"] = "the uploaded showers"
    return value


def _target(job: Taken, settings: Settings) -> ShowerSet:
    """The showers that were sent; of a known detector that was named, parametrised ones."""
    from catalog.domain import load_detector
    from catalog.showers.reader import read_showers
    from catalog.simulate.beam import draw_beam
    from catalog.simulate.readout import readout_mesh
    from catalog.simulate.run import simulate

    asked = job.asked
    if not asked.get("detector"):
        return read_showers(job_file(settings.home, job.id), limit=asked["showers"])
    detector = load_detector(asked["detector"])
    beam = draw_beam(asked["pdg"], asked["showers"], tuple(asked["energy_gev"]), seed=asked["seed"])
    return simulate(detector, readout_mesh(detector), beam, asked["seed"])


KINDS: dict[str, Callable[[Taken, Settings, Say, Tell], dict[str, Any]]] = {
    "recommend": lambda job, settings, say, _: _recommend(job, settings, say),
    "sync": _sync,
    "annotate": lambda job, settings, _, tell: verb_work.annotate(job.asked, settings, tell),
    "verify": lambda job, settings, _, tell: verb_work.verify(job.asked, settings, tell),
}


class _Progress:
    """The last line said and the last count, kept now and then."""

    def __init__(self, jobs: Jobs, job: Taken) -> None:
        self._jobs, self._job = jobs, job
        self._message, self._done, self._total = "", 0, 0
        self._kept = 0.0

    def say(self, message: str) -> None:
        self._message = message
        self._keep()

    def tell(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._keep()

    def _keep(self) -> None:
        now = time.monotonic()
        if now - self._kept > _OFTEN:
            self._kept = now
            with suppress(Unreachable):
                self._jobs.tell(self._job, self._message, self._done, self._total)


def _patiently(act: Callable[[], T]) -> T:
    """What it gives, once the database answers; the server ends us if it should not."""
    while True:
        try:
            return act()
        except Unreachable:
            time.sleep(1.0)


def _of_store(exc: StoreError) -> str:
    """What may be said to anybody: the reason may hold an address."""
    what = "does not answer" if isinstance(exc, Unreachable) else "could not do it"
    return f"a store or the index behind this server {what}"


def _without_paths(text: str, settings: Settings) -> str:
    """A message without the places of this machine."""
    for place in (settings.home / "jobs", settings.home, settings.cache):
        text = text.replace(f"{place}/", "")
    return text


def _end_with_the_server() -> None:
    while os.read(0, 4096):  # below Python's buffer, whose lock would outlive us
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
