"""Published runs that calibrate the time model: `data/runs-*.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from catalog.cost.table import Line, read_table

_COLUMNS = (
    "system", "where", "device", "count", "layout", "batch", "loading", "examples", "epochs",
    "epoch_s", "eval_s", "first_step_s", "date",
)  # fmt: skip

_HELD = 8  # devices of one machine


@dataclass(frozen=True)
class Run:
    """One measured configuration.

    count, batch : devices, and examples of each per step
    layout : workers x devices of each, where it was told
    loading : prefetch, cache, or none (steps wait for their data)
    epoch_s, eval_s, first_step_s : s of training and of evaluation per epoch, and of the first step
    epochs : that were averaged; None where it was not told
    """

    system: str
    where: str
    device: str
    count: int
    layout: str
    batch: int
    loading: str
    examples: int
    epochs: int | None
    epoch_s: float
    eval_s: float | None
    first_step_s: float | None
    date: str

    @property
    def full_machines(self) -> bool:
        """Whether each worker has as many devices as a machine holds, where it was told."""
        each = self.layout.partition("x")[2]
        return not self.layout or each == str(min(self.count, _HELD))

    @property
    def step_s(self) -> float:
        """Seconds of one step: an epoch has whole steps only."""
        return self.epoch_s / (self.examples // (self.batch * self.count))


@cache
def published_runs() -> tuple[Run, ...]:
    """All shipped runs."""
    found: list[Run] = []
    for file in sorted(files("catalog.cost").joinpath("data").iterdir(), key=lambda f: f.name):
        if file.name.startswith("runs-"):
            found += map(_run, read_table(file.read_text("utf-8"), file.name, _COLUMNS))
    return tuple(found)


def _run(line: Line) -> Run:
    epoch = line.number("epoch_s")
    if not epoch:
        line.refuse("epoch_s is not above zero")
    return Run(
        line.text("system"), line.text("where"), line.text("device"), line.whole("count"),
        line.cells["layout"], line.whole("batch"), line.text("loading"), line.whole("examples"),
        line.whole("epochs") if line.cells["epochs"] else None, epoch,
        line.number("eval_s"), line.number("first_step_s"), line.text("date"),
    )  # fmt: skip
