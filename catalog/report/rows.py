"""The rows of a report, shaped as the command line's JSON, so that saved results can be shown.

None stands for "not known". Distances are in standard deviations of full simulation.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Estimate(TypedDict):
    """A predicted metric with its interval."""

    predicted: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]


class Ranked(TypedDict):
    """One model of a Recommendation, best first."""

    ref: str
    zero_shot: NotRequired[float | None]
    predicted: NotRequired[float | None]
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    notes: NotRequired[str]


class GateRow(TypedDict):
    """One physics requirement: |value| beside its limit, of which `tolerance` is physics and the
    rest what so many showers cannot tell; `bin` is where it is worst, "" at all energies.
    """

    name: str
    value: float
    limit: float
    passed: bool
    tolerance: NotRequired[float]
    bin: NotRequired[str]


class Lineage(TypedDict):
    """One step of descent: the child was adapted from the parent."""

    parent: str
    parent_digest: str
    child: str
    child_digest: str


class CostRow(TypedDict):
    """What one step took."""

    what: str
    seconds: float | None
    device: str
    note: NotRequired[str]
