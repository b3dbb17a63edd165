"""How long a training takes: a step of a + b x batch + c x devices, calibrated on runs.

    t_step = max(a + b*B + c*N, B*N / loader)      B = batch per device, N = devices
    steps  = floor(examples / (B*N))               per epoch, whole
    T      = start-up + first step + fixed + epochs * (steps * t_step + evaluation)

This is the compute and network part of Pollux (OSDI'21, AdaptDL's goodput) without overlap, and one
of Ernest's family (NSDI'16); a, b, c >= 0 by least squares. Data that do not come fast enough break
any such model, so the rate of the loader bounds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from catalog.cost.devices import Device, known_devices
from catalog.cost.runs import Run, published_runs
from catalog.errors import UsageError
from catalog.jobs.job import Training

INSIDE, OUTSIDE = 0.10, 0.30  # half of the 80 % interval; a judgement, from what runs scattered
_FAR = 2.0  # further in devices than this beyond the calibrated range is an extrapolation
_FURTHEST = 4.0  # no forecast for devices faster or slower than this


@dataclass(frozen=True)
class Calibration:
    """What runs of one system on one device tell.

    a, b, c : s, s per example, s per device
    counts : least and largest number of devices
    evaluation : of an epoch's training time
    fixed_s : what a run takes besides its steps
    loader : examples/s that loading delivers; infinite where it never was the limit
    first : (devices, s) of first steps
    spread : 80 % of the runs it was fitted to are nearer than this share
    """

    system: str
    device: Device
    where: str
    a: float
    b: float
    c: float
    counts: tuple[int, int]
    source: str
    evaluation: float = 0.0
    fixed_s: float = 0.0
    loader: float = math.inf
    first: tuple[tuple[int, float], ...] = ()
    spread: float = 0.0


@dataclass(frozen=True)
class Duration:
    """Seconds of a whole run with their 80 % interval; `epoch_s` of one epoch with evaluation.

    why : what widened the interval, in words; empty inside the calibrated range
    """

    seconds: float
    low: float
    high: float
    epoch_s: float
    train_s: float
    input_bound: bool = False
    why: str = ""


def published(system: str) -> list[Calibration]:
    """What published runs tell of a system: one calibration for each device."""
    runs = [run for run in published_runs() if run.system == system and run.full_machines]
    names = dict.fromkeys(run.device for run in runs)
    return [calibrate([run for run in runs if run.device == name]) for name in names]


def calibrate(runs: Sequence[Run]) -> Calibration:
    """Fit one system on one device; what the runs cannot tell apart is left at zero.

    Raises
    ------
    UsageError
        There is no run, or they are of several devices.
    """
    if len({(run.system, run.device, run.where) for run in runs}) != 1:
        raise UsageError("runs of one system on one device are needed to calibrate")
    first = runs[0]
    free = [run for run in runs if run.loading != "none"] or list(runs)
    times = np.array([run.step_s for run in free])
    table = np.array([[1.0, run.batch, run.count] for run in free])
    used = _identifiable(table)
    fit, _ = nnls(table[:, used], times)
    found = np.zeros(3)
    found[used] = fit
    judged = [run for run in free if run.eval_s is not None]
    share = sum(run.eval_s or 0.0 for run in judged) / max(sum(run.epoch_s for run in judged), 1e-9)
    a, b, c = map(float, found)
    off = np.abs(table @ found / times - 1)
    return Calibration(
        first.system, known_devices()[first.device], first.where, a, b, c,
        (min(run.count for run in free), max(run.count for run in free)),
        f"{len(free)} published runs of {first.system} on {first.device} ({first.date})",
        evaluation=share if judged else 0.0,
        first=tuple((run.count, run.first_step_s) for run in free if run.first_step_s is not None),
        spread=float(np.quantile(off, 0.8)),
    )  # fmt: skip


def measured_loader(runs: Sequence[Run], fitted: Calibration) -> float:
    """Examples/s of the slowest loading that runs show; infinite if none waited for its data."""
    rates = [
        run.batch * run.count / run.step_s
        for run in runs
        if run.step_s > (1 + INSIDE) * compute_s(fitted, run.batch, run.count)
    ]
    return min(rates, default=math.inf)


def compute_s(fitted: Calibration, batch: int, count: int) -> float:
    """Seconds of one step that never waits for data."""
    return fitted.a + fitted.b * batch + fitted.c * count


def on_device(fitted: Calibration, device: Device) -> Calibration | None:
    """The same system on another device of the kind: b follows the data sheets.

    None where it is of another kind, or too far off for a data sheet to tell.
    """
    ratio = device.speed / fitted.device.speed
    if device.kind != fitted.device.kind or not 1 / _FURTHEST <= ratio <= _FURTHEST:
        return None
    return replace(fitted, device=device, b=fitted.b / ratio)


def forecast(
    fitted: Calibration, training: Training, count: int, startup_s: float = 0.0, doubt: str = ""
) -> Duration:
    """The time of a training on `count` devices.

    Parameters
    ----------
    doubt : why the calibration is of something else (other hardware, another cloud); widens

    Raises
    ------
    UsageError
        One step of all devices would take more examples than there are.
    """
    batch, whole = training.batch, training.batch * count
    steps = training.examples // whole
    if training.epochs and not steps:
        raise UsageError(
            f"{count} devices with a batch of {batch} take {whole} examples a step, and there are "
            f"{training.examples}",
            "use fewer devices, or a smaller batch",
        )
    compute = compute_s(fitted, batch, count)
    load = whole / min(fitted.loader, training.loader or math.inf)
    step = max(compute, load)
    trained = step * max(steps, 1)
    epoch = trained * (1 + fitted.evaluation)
    body = epoch * training.epochs if training.epochs else step * (training.steps or 0)
    seconds = startup_s + _first_step(fitted, count) + fitted.fixed_s + body
    low, high = fitted.counts
    if not doubt and not low / _FAR <= count <= high * _FAR:
        doubt = f"{count} devices, calibrated on {low} to {high}"
    half = max(OUTSIDE if doubt else INSIDE, fitted.spread)
    return Duration(
        seconds, seconds * max(1 - half, 0.0), seconds * (1 + half), epoch, trained,
        input_bound=load > compute, why=doubt,
    )  # fmt: skip


def _identifiable(table: np.ndarray) -> list[int]:
    """Columns of 1, B, N that the runs tell apart: a needs two batches, c three numbers of devices.

    One batch alone gives b, so that a larger batch takes longer and not the same.
    """
    batches, counts = len(set(table[:, 1])), len(set(table[:, 2]))
    return [1, *([0] if batches > 1 else []), *([2] if counts > 2 else [])]


def _first_step(fitted: Calibration, count: int) -> float:
    """Compiling and warming up, of the run with about as many devices."""
    near = min(fitted.first, key=lambda pair: abs(math.log(pair[0] / count)), default=(1, 0.0))
    return near[1]
