"""The queue before one model: requests that wait while it runs share its next run.

There is no timer: a request that finds the model free runs at once and alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from catalog.errors import CatalogError
from registry_server.engine.model import Model
from registry_server.engine.statistics import Tally
from registry_server.errors import Busy, Expired, RunFailed
from registry_server.tensors import Array

_INLINE = 2e-4  # seconds: a shorter run costs less than waking a thread does
_BATCH_BYTES = 8 << 20  # inputs of one shared run
Outputs = dict[str, Array]


@dataclass(eq=False)
class Job:
    """One request in the queue. `alike` is what requests of one run have in common."""

    inputs: Mapping[str, Array]
    names: Sequence[str]
    rows: int
    bytes: int
    alike: object
    answer: asyncio.Future[Outputs]
    deadline: float | None
    came: int = field(default_factory=time.perf_counter_ns)


@dataclass(frozen=True)
class Ran:
    """What one run gave each of its jobs, and what it took: nanoseconds in, computing, out."""

    answers: list[Outputs | CatalogError]
    rows: int
    ns: tuple[int, int, int]


class Lane:
    """The queue before one model."""

    def __init__(self, model: Model, pool: Executor, width: int, tally: Tally) -> None:
        self.model = model
        self.tally = tally
        self._pool = pool
        self._width = width  # runs at a time
        self._running = 0
        self._woken = False
        self._waiting: deque[Job] = deque()

    @property
    def waiting(self) -> int:
        """Requests that have not begun to run."""
        return len(self._waiting)

    async def submit(
        self,
        inputs: Mapping[str, Array],
        wanted: Sequence[str] = (),
        deadline: float | None = None,
    ) -> Outputs:
        """Run one request. `deadline` is a time of the event loop's clock, in seconds.

        Raises
        ------
        UsageError, RunFailed, Expired, Busy
        """
        job = self._job(inputs, wanted, deadline)
        if len(self._waiting) >= self.model.limits.queue:
            self.tally.failed("REJECTED", 0)
            raise Busy(f"{len(self._waiting)} requests wait for {self.model.ref}", "try again")
        self._waiting.append(job)
        self._wake()
        try:
            if deadline is None:
                return await job.answer
            async with asyncio.timeout_at(deadline):
                return await job.answer
        except TimeoutError as exc:
            self._failed(job, "REJECTED")
            raise Expired(f"{self.model.ref} did not answer within the request's timeout") from exc
        except asyncio.CancelledError:
            self._failed(job, "CANCELED")
            raise
        except CatalogError:
            self._failed(job, "BACKEND")
            raise

    def _job(
        self, inputs: Mapping[str, Array], wanted: Sequence[str], deadline: float | None
    ) -> Job:
        try:
            names = self.model.check(inputs, wanted)
        except CatalogError:
            self.tally.failed("OTHER", 0)
            raise
        first = next(iter(inputs.values()), None)
        rows = len(first) if first is not None and first.ndim else 1
        alike: object = None
        if self.model.batch_rows:
            alike = (tuple(names), [inputs[it.name].shape[1:] for it in self.model.inputs])
        answer: asyncio.Future[Outputs] = asyncio.get_running_loop().create_future()
        size = sum(array.nbytes for array in inputs.values())
        return Job(inputs, names, rows, size, alike, answer, deadline)

    def _failed(self, job: Job, reason: str) -> None:
        self.tally.failed(reason, time.perf_counter_ns() - job.came)
        if reason == "BACKEND":
            return
        # A request that nobody waits for any more leaves the queue at once.
        if not job.answer.done():
            job.answer.cancel()
        if job in self._waiting:
            self._waiting.remove(job)

    def _wake(self) -> None:
        # In the loop's next round: requests parsed in this one then share a run.
        if not self._woken and self._running < self._width:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._woken = False
        while self._running < self._width and (jobs := self._take()):
            rows = sum(job.rows for job in jobs)
            if 0 < self.model.seconds(rows) < _INLINE:
                self._hand_out(jobs, run(self.model, jobs))
                if self._waiting:
                    self._wake()  # others' connections first
                return
            self._running += 1
            loop = asyncio.get_running_loop()
            done = loop.run_in_executor(self._pool, run, self.model, jobs)
            done.add_done_callback(partial(self._done, jobs))

    def _take(self) -> list[Job]:
        """The first request, and those behind it that may share its run."""
        jobs: list[Job] = []
        rows = size = 0
        most = self.model.batch_rows
        now = asyncio.get_running_loop().time()
        while self._waiting:
            job = self._waiting[0]
            if job.answer.done() or (job.deadline is not None and job.deadline <= now):
                self._waiting.popleft()  # its own `submit` says so
                continue
            rows, size = rows + job.rows, size + job.bytes
            if jobs and (
                rows > most or size > _BATCH_BYTES or job.alike is None
                or job.alike != jobs[0].alike
            ):  # fmt: skip
                break
            jobs.append(self._waiting.popleft())
        begun = time.perf_counter_ns()
        for job in jobs:
            self.tally.queue.add(begun - job.came)
        return jobs

    def _done(self, jobs: list[Job], done: asyncio.Future[list[Ran]]) -> None:
        self._running -= 1
        self._wake()
        if done.cancelled():  # the engine was closed
            for job in jobs:
                job.answer.cancel()
            return
        self._hand_out(jobs, done.result())

    def _hand_out(self, jobs: list[Job], runs: list[Ran]) -> None:
        now = time.perf_counter_ns()
        answers = []
        for ran in runs:
            self.tally.ran(ran.rows, len(ran.answers), ran.ns)
            answers += ran.answers
        for job, answer in zip(jobs, answers, strict=True):
            if job.answer.done():
                continue
            if isinstance(answer, CatalogError):
                job.answer.set_exception(answer)
            else:
                self.tally.success.add(now - job.came)
                job.answer.set_result(answer)


def run(model: Model, jobs: Sequence[Job]) -> list[Ran]:
    """Run jobs together; if that fails, each alone, so that a bad one spoils only itself."""
    if len(jobs) == 1:
        return [_alone(model, jobs[0])]
    start = time.perf_counter_ns()
    inputs = {
        tensor.name: np.concatenate([job.inputs[tensor.name] for job in jobs])
        for tensor in model.inputs
    }
    begun = time.perf_counter_ns()
    rows = sum(job.rows for job in jobs)
    names = jobs[0].names
    try:
        values = model.run(inputs, names)
    except RunFailed:
        return [_alone(model, job) for job in jobs]
    ended = time.perf_counter_ns()
    if any(len(value) != rows for value in values):
        return [_alone(model, job) for job in jobs]
    answers: list[Outputs | CatalogError] = []
    first = 0
    for job in jobs:
        last = first + job.rows
        answers.append({n: v[first:last] for n, v in zip(names, values, strict=True)})
        first = last
    taken = (begun - start, ended - begun, time.perf_counter_ns() - ended)
    return [Ran(answers, rows, taken)]


def _alone(model: Model, job: Job) -> Ran:
    start = time.perf_counter_ns()
    answer: Outputs | CatalogError
    try:
        answer = dict(zip(job.names, model.run(job.inputs, job.names), strict=True))
    except RunFailed as exc:
        answer = exc
    return Ran([answer], job.rows, (0, time.perf_counter_ns() - start, 0))
