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
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalog.errors import CatalogError
from catalog.settings import Settings, load_settings
from registry_server.api.jobs import Jobs, Taken
from registry_server.api.registry import Bounds
from registry_server.database import Database

_OFTEN = 0.5  # seconds between two lines of progress that are kept
Say = Callable[[str], None]
Tell = Callable[[int, int], None]


def main() -> None:
    """Work on the job that the first line of the input describes."""
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    settings, job = load_settings(), Taken(**told)
    jobs = Jobs(Database(settings.home), Bounds())
    progress = _Progress(jobs, job)
    try:
        value = KINDS[job.kind](job, settings, progress.say, progress.tell)
    except CatalogError as exc:
        text = _without_paths(exc.message, settings)
        jobs.end(job, "failed", error={"message": text, "hint": exc.hint})
    else:
        jobs.end(job, "done", value)


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
    from catalog.showers.reader import read_showers

    asked, data = job.asked, job_file(settings.home, job.id)
    target = read_showers(data, limit=asked["showers"])
    with open_index(settings) as index:
        log = read_log(settings.home)
        found = recommend(target, index, settings, log, say, asked["seed"], asked["models"])
    value = as_dict(found)
    value["target"]["data"] = "the uploaded showers"
    return value


KINDS: dict[str, Callable[[Taken, Settings, Say, Tell], dict[str, Any]]] = {
    "recommend": lambda job, settings, say, _: _recommend(job, settings, say),
    "sync": _sync,
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
            self._jobs.tell(self._job, self._message, self._done, self._total)


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
