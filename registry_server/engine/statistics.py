"""What happened to the requests of each version, in the units of Triton's statistics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

REASONS = ("BACKEND", "CANCELED", "OTHER", "REJECTED")


@dataclass
class Span:
    """How often something was done, and for how long in all."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        """One more, or several that took as long together."""
        self.count += count
        self.ns += ns


@dataclass
class BatchTally:
    """Runs of one number of rows."""

    compute_input: Span = field(default_factory=Span)
    compute_infer: Span = field(default_factory=Span)
    compute_output: Span = field(default_factory=Span)


@dataclass
class Tally:
    """One version's requests since the server started. Written on the event loop only.

    rows : rows answered; runs : runs of the model, fewer than requests where they shared one
    last_ms : wall clock of the last run, milliseconds since 1970
    """

    success: Span = field(default_factory=Span)
    fail: Span = field(default_factory=Span)
    queue: Span = field(default_factory=Span)
    compute_input: Span = field(default_factory=Span)
    compute_infer: Span = field(default_factory=Span)
    compute_output: Span = field(default_factory=Span)
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    batches: dict[int, BatchTally] = field(default_factory=dict)
    rows: int = 0
    runs: int = 0
    last_ms: int = 0

    def failed(self, reason: str, ns: int) -> None:
        """One request was not answered."""
        self.fail.add(ns)
        self.failures[reason] += 1

    def ran(self, rows: int, requests: int, ns: tuple[int, int, int]) -> None:
        """One run; `ns` to gather the inputs, to compute and to hand out the outputs."""
        self.runs += 1
        self.rows += rows
        self.last_ms = int(time.time() * 1e3)
        batch = self.batches.setdefault(rows, BatchTally())
        for span, one, taken in zip(
            (self.compute_input, self.compute_infer, self.compute_output),
            (batch.compute_input, batch.compute_infer, batch.compute_output),
            ns,
            strict=True,
        ):
            span.add(taken * requests, requests)
            one.add(taken)
