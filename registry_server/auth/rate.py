"""How often a caller may ask: one token bucket each, and a bounded number of buckets."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_CALLERS = 10_000


@dataclass
class _Bucket:
    level: float
    at: float


class Rate:
    """`per_second` requests in the long run, `burst` at once. Used by one thread, the event loop.

    The caller that asked longest ago is forgotten first; it had its full burst again by then,
    unless there are more callers than anybody serves.
    """

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second, self._burst = per_second, burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, caller: str, now: float) -> float:
        """Seconds until this caller may ask again; 0 lets the request in, and counts it."""
        bucket = self._buckets.pop(caller, None) or _Bucket(self._burst, now)
        bucket.level = min(self._burst, bucket.level + (now - bucket.at) * self._per_second)
        bucket.at = now
        self._buckets[caller] = bucket
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        if bucket.level < 1:
            return (1 - bucket.level) / self._per_second
        bucket.level -= 1
        return 0.0
