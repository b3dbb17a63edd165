"""How far off the time model is on runs that it was not calibrated on, and what it says of money.

Calibrated on the published V100 runs with at most 16 devices and one of a small batch, on one TPU
run, and on one run whose steps waited for data; asked about all others in the reference table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog.cost.devices import known_devices
from catalog.cost.offers import calibration_for
from catalog.cost.prices import all_prices
from catalog.cost.quote import Asked, make_quote
from catalog.cost.runs import Run, published_runs
from catalog.cost.timemodel import (
    Calibration,
    Duration,
    calibrate,
    forecast,
    measured_loader,
    published,
)
from catalog.jobs.job import Training, load_job

SEED = 0


def measure(_quick: bool) -> dict[str, Any]:
    """Relative errors of an epoch's training time, coverage of the 80 % interval, money."""
    runs = published_runs()
    gpu = [run for run in runs if run.device == "V100"]
    fetched = [run for run in gpu if run.loading == "prefetch" and run.full_machines]
    waiting = [run for run in gpu if run.loading == "none"]
    few = [run for run in fetched if run.count <= 16 or run.batch == 16]
    one = [run for run in runs if (run.device, run.count) == ("TPU-v3", 8)]
    slow = [run for run in waiting if run.count == 32]
    fitted = calibrate(few)
    fed = replace(fitted, loader=measured_loader(slow, fitted))
    known = [fitted, calibrate(one)]
    told = {run: _told(run, fed if run in waiting else fitted, known) for run in runs}
    spread_out = [run for run in gpu if not run.full_machines]
    tpu = [run for run in runs if run.device != "V100"]
    asked = [run for run in runs if run not in (*few, *one, *slow)]
    long = next(run for run in fetched if run.epochs == 120)
    work = Training(system=long.system, examples=long.examples, batch=long.batch, epochs=120)
    return {
        "gke_max_error": _worst(fetched, told),
        "tpu_max_error": _worst(tpu, told),
        "interval_coverage": _covered(asked, told),
        "tpu_cost_ratio": _cost_ratio(),
        "interval_coverage_with_calibration": _covered(runs, told),
        "runs_asked": len(asked),
        "spread_workers_max_error": _worst(spread_out, told),
        "waiting_max_error": _worst(waiting, told),
        "epochs_120_gpus_128_h": round(forecast(fitted, work, 128).seconds / 3600, 3),
        "a_s": round(fitted.a, 4),
        "b_s_per_event": round(fitted.b, 5),
        "c_s_per_gpu": round(fitted.c, 5),
    }


def _told(run: Run, gpu: Calibration, known: Sequence[Calibration]) -> Duration:
    fitted, doubt = calibration_for(known_devices()[run.device], run.where, known)
    if run.device == "V100" or fitted is None:
        fitted = gpu
    work = Training(system=run.system, examples=run.examples, batch=run.batch, epochs=1)
    return forecast(fitted, work, run.count, doubt=doubt)


def _worst(runs: Sequence[Run], told: dict[Run, Duration]) -> float:
    return round(max(abs(told[run].train_s / run.epoch_s - 1) for run in runs), 4)


def _covered(runs: Sequence[Run], told: dict[Run, Duration]) -> float:
    """Share of the runs inside the interval, taken relative to the forecast."""
    inside = 0
    for run in runs:
        found = told[run]
        ratio = run.epoch_s / found.train_s
        inside += found.low / found.seconds <= ratio <= found.high / found.seconds
    return round(inside / len(runs), 3)


def _cost_ratio() -> float:
    """Money of one epoch on 8 V100 over that on a TPU v3-8, both spot, with the prices of 2022."""
    prices = all_prices(Path("/nonexistent"), as_of="2022")
    asked = Asked(where=("gcp:europe-west4",))
    quote = make_quote(load_job("3dgan-gke"), prices, published("3dgan-gke"), asked)
    usd = {(o.device, o.count): o.usd_epoch for o in quote.offers if o.spot}
    return round((usd["V100", 8] or 0.0) / (usd["TPU-v3", 8] or 1.0), 3)
