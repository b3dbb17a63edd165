"""The cost of an adaptation: its Job, and what recorded runs or a short probe tell of its speed."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from catalog.adapt.adapt import adapt
from catalog.adapt.family import Judged, Pace, Running
from catalog.adapt.log import Adaptation
from catalog.adapt.recipe import Recipe
from catalog.cost.devices import Device, known_devices
from catalog.cost.offers import HERE
from catalog.cost.timemodel import OUTSIDE, Calibration
from catalog.jobs.job import Blob, Job, Training
from catalog.pull import Pulled
from catalog.showers import ShowerSet

_TRAINS = 0.75  # of the showers; the others choose the step
_BATCH = 64  # of a recipe that says nothing
_ALIKE = 3.0  # a run with as many showers and steps, within this factor, tells of another
_ENOUGH = 3  # runs, to go without a probe
_STEPS = 20  # of a probe: the first of them is left out
_LOCAL = ("", HERE, "local")


def adaptation_job(
    family: str, showers: int, recipe: Recipe, steps: int, command: Sequence[str], data: Path
) -> tuple[Job, Training]:
    """An adaptation as a Job of this machine's number of cores."""
    size = data.stat().st_size / 1e9 if data.is_file() else None
    batch, trains = min(recipe.batch or _BATCH, showers), max(1, int(_TRAINS * showers))
    work = Training(system=family, examples=trains, batch=batch, steps=steps)
    inputs = (Blob(path=str(data), gb=size),)
    cores = os.cpu_count() or 1
    job = Job(name="adapt", command=tuple(command), cpus=cores, training=work, inputs=inputs)
    return job, work


def from_log(records: Iterable[Adaptation], work: Training, showers: int) -> list[Calibration]:
    """One calibration for each device that runs like this one were recorded on.

    seconds = fixed + steps x s, least squares; the scatter of the runs widens the interval.
    """
    groups: dict[tuple[str, str], list[Adaptation]] = {}
    for run in _alike(records, work, showers):
        if device := device_of(run.device):
            groups.setdefault((device.name, _place(run.where)), []).append(run)
    return [_fitted(runs, *key, work) for key, runs in groups.items()]


def enough(records: Iterable[Adaptation], work: Training, showers: int) -> bool:
    """Whether recorded runs of this machine tell its speed without a probe."""
    alike = [run for run in _alike(records, work, showers) if device_of(run.device)]
    return sum(_place(run.where) == HERE for run in alike) >= _ENOUGH


def probe(
    parent: Pulled, target: ShowerSet, showers: int, recipe: Recipe, say: Callable[[str], None]
) -> Calibration:
    """Adapt for a few steps with two batches on this machine, and throw the result away.

    Raises
    ------
    UsageError, BadFile, MissingExtra
    """
    batch = min(recipe.batch or _BATCH, showers)
    half = max(1, batch // 2)
    say(f"no runs like this are recorded here: measuring {_STEPS} steps each of {batch} and {half}")
    whole, fixed, name = _measured(parent, target, showers, recipe, batch)
    less, _, _ = _measured(parent, target, showers, recipe, half) if half < batch else (0.0, 0, "")
    b = max(whole - less, 0.0) / (batch - half) if half < batch else whole / batch
    device = device_of(name) or known_devices()["CPU"]
    return Calibration(
        parent.card.family or "", device, HERE, max(whole - b * batch, 0.0), b, 0.0, (1, 1),
        f"a probe of {_STEPS} steps on this machine ({name})", fixed_s=fixed,
    )  # fmt: skip


def device_of(told: str) -> Device | None:
    """The device that a run says it was on: `CPU, x86_64`, `1 x NVIDIA H100 80GB HBM3`.

    None for several of them: a recipe's step is of one.
    """
    count, times, rest = told.partition(" x ")
    if told.startswith("CPU"):
        return known_devices()["CPU"]
    text = f" {rest.replace('-', ' ')} " if times and count == "1" else ""
    named = [device for name, device in known_devices().items() if f" {name} " in text]
    return named[0] if named else None


def _fitted(runs: Sequence[Adaptation], device: str, where: str, work: Training) -> Calibration:
    steps = np.array([run.steps for run in runs], float)
    seconds = np.array([run.seconds for run in runs])
    if len(set(steps)) > 1:
        table = np.stack([np.ones(len(runs)), steps], 1) / seconds[:, None]
        (fixed, each), _ = nnls(table, np.ones(len(runs)))
    else:
        fixed, each = 0.0, float(np.median(seconds / steps))
    off = np.abs((fixed + each * steps) / seconds - 1)
    spread = max(float(np.quantile(off, 0.8)), OUTSIDE if len(runs) < _ENOUGH else 0.0)
    return Calibration(
        work.system, known_devices()[device], where, 0.0, each / work.batch, 0.0, (1, 1),
        f"{len(runs)} recorded adaptations of {work.system} on {device} ({where})",
        fixed_s=fixed, spread=spread,
    )  # fmt: skip


def _measured(
    parent: Pulled, target: ShowerSet, showers: int, recipe: Recipe, batch: int
) -> tuple[float, float, str]:
    """Seconds of a step, of all that is not a step, and the device."""
    spent: list[tuple[int, float]] = []

    def watch(judged: Judged, pace: Pace) -> None:
        if judged.step:
            spent.append((judged.step, judged.step * batch / max(pace.showers_per_s, 1e-9)))

    how = recipe.model_copy(update={"batch": batch, "steps": _STEPS, "patience": None})
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "probe"
        done = adapt(
            parent, target, showers=showers, out=out, recipe=how, steps=_STEPS,
            running=Running(watch=watch),
        )  # fmt: skip
    wall = time.perf_counter() - began
    (first, early), (last, late) = spent[0], spent[-1]
    step = (late - early) / max(last - first, 1) if last > first else late / last
    return step, max(wall - late, 0.0), done.run.device if done else "CPU"


def _alike(records: Iterable[Adaptation], work: Training, showers: int) -> list[Adaptation]:
    """Runs of the family, not from scratch, with about as many showers and steps."""
    return [
        run
        for run in records
        if run.family == work.system
        and run.strategy != "scratch"
        and _near(run.showers, showers)
        and _near(run.steps, work.steps or 1)
    ]


def _place(where: str) -> str:
    return HERE if where in _LOCAL else where


def _near(a: int, b: int) -> bool:
    return max(a, b) <= _ALIKE * min(a, b)
