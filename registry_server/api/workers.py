"""The threads of a server process that take jobs from the table and have them done."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from catalog.errors import CatalogError, Unreachable
from registry_server.api.jobs import SILENT, Jobs, Taken, jobs_of
from registry_server.api.publishing import uploads_of
from registry_server.api.registry import Registry
from registry_server.api.work import job_file

_POLL = 1.0  # seconds between two looks into the table
_BEAT = 2.0  # seconds between two signs of life
_SWEEP = 600.0
_WORK = (sys.executable, "-m", "registry_server.api.work")
_log = logging.getLogger(__name__)


@contextmanager
def working(registry: Registry) -> Iterator[None]:
    """Take jobs, and sweep leftovers, while the block runs.

    What is being done when the block ends is queued again, for the next process.
    """
    stop = threading.Event()
    threads = [
        threading.Thread(target=_sweeping, args=(registry, stop), name="sweeper"),
        *(
            threading.Thread(target=_taking, args=(registry, stop), name=f"worker-{number}")
            for number in range(registry.bounds.workers)
        ),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _taking(registry: Registry, stop: threading.Event) -> None:
    jobs, blind = jobs_of(registry), time.monotonic()
    while not stop.wait(_POLL):
        try:
            # When the database comes back, all who could not reach it look silent.
            while not stop.is_set() and (job := jobs.take(bury=time.monotonic() - blind > SILENT)):
                _attempt(registry, jobs, job, stop)
        except CatalogError as exc:
            blind = time.monotonic()
            _log.warning("the table of jobs: %s", exc)


def _attempt(registry: Registry, jobs: Jobs, job: Taken, stop: threading.Event) -> None:
    """Have one job done by a process of its own."""
    _log.info("job %s: %s, attempt %d", job.id, job.kind, job.attempt)
    child = _start(registry, job)
    try:
        ended = _watch(jobs, job, child, stop)
    finally:
        child.kill()
        child.wait()
        if child.stdin:
            child.stdin.close()
    if ended == "stopped":
        jobs.give_back(job)
        return
    if ended == "cancelled":
        jobs.end(job, "cancelled")
    elif child.returncode:
        lost = {"message": "its worker died", "hint": "ask for it again, or with less"}
        jobs.end(job, "failed", error=lost)
    if job.id not in jobs.open_ids():
        job_file(registry.settings.home, job.id).unlink(missing_ok=True)


def _watch(jobs: Jobs, job: Taken, child: subprocess.Popen[bytes], stop: threading.Event) -> str:
    """Wait for a worker, saying that we do: how that ended."""
    beat = float("-inf")
    while child.poll() is None:
        if stop.wait(0.1):
            return "stopped"
        if time.monotonic() - beat > _BEAT:
            beat = time.monotonic()
            with suppress(Unreachable):  # it restarts; whether the job is still ours it will tell
                if not jobs.alive(job):
                    return "cancelled"
    return "over"


def _start(registry: Registry, job: Taken) -> subprocess.Popen[bytes]:
    settings = registry.settings
    environment = {
        **os.environ,
        "CATALOG_HOME": str(settings.home),
        "CATALOG_CACHE": str(settings.cache),
        "CATALOG_STORE": settings.store,
        "CATALOG_INDEX": settings.index,
    }
    child = subprocess.Popen(
        _WORK,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    assert child.stdin is not None  # noqa: S101  it is a pipe
    try:
        child.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        pass  # it died at once, which its exit code says
    return child


def _sweeping(registry: Registry, stop: threading.Event) -> None:
    jobs = jobs_of(registry)
    while True:
        try:
            uploads_of(registry).sweep()
            jobs.sweep()
            _sweep_files(registry.settings.home / "jobs", jobs)
        except (CatalogError, OSError) as exc:
            _log.warning("sweeping: %s", exc)
        if stop.wait(_SWEEP):
            return


def _sweep_files(folder: Path, jobs: Jobs) -> None:
    """Drop showers of no open job; those that are arriving are young."""
    known = jobs.open_ids()
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.stem not in known and time.time() - path.stat().st_mtime > 3600:
            path.unlink(missing_ok=True)
