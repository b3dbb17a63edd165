"""The time model against runs that were published: calibrated on few, asked about the others."""

from __future__ import annotations

import pytest

from catalog.cost.devices import known_devices
from catalog.cost.runs import Run, published_runs
from catalog.cost.timemodel import (
    Calibration,
    calibrate,
    forecast,
    measured_loader,
    on_device,
    published,
)
from catalog.errors import UsageError
from catalog.jobs.job import Training

GKE = [run for run in published_runs() if run.device == "V100" and run.full_machines]
FETCHED = [run for run in GKE if run.loading == "prefetch"]
FEW = [run for run in FETCHED if run.count <= 16 or run.batch == 16]


def work(run: Run, epochs: int = 1) -> Training:
    return Training(system=run.system, examples=run.examples, batch=run.batch, epochs=epochs)


def off(fitted: Calibration, run: Run) -> float:
    return abs(forecast(fitted, work(run), run.count).train_s / run.epoch_s - 1)


def test_small_runs_give_the_published_coefficients() -> None:
    fitted = calibrate(FEW)
    assert len(FEW) == 5
    assert (fitted.a, fitted.b, fitted.c) == pytest.approx((0.1136, 0.02742, 0.00624), rel=0.01)


def test_small_runs_predict_the_large_ones() -> None:
    fitted = calibrate(FEW)
    assert max(off(fitted, run) for run in FETCHED) < 0.08


def test_one_tpu_run_predicts_the_others() -> None:
    runs = [run for run in published_runs() if run.device.startswith("TPU")]
    (one,) = [run for run in runs if (run.device, run.count) == ("TPU-v3", 8)]
    fitted = calibrate([one])
    for run in runs:
        moved = on_device(fitted, known_devices()[run.device])
        assert moved is not None
        assert off(moved, run) < 0.08, run


def test_120_epochs_on_128_gpus_take_an_hour_and_a_fifth() -> None:
    long = next(run for run in FETCHED if run.epochs == 120)
    for fitted in (
        calibrate(FEW),
        next(c for c in published("3dgan-gke") if c.device.name == "V100"),
    ):
        time = forecast(fitted, work(long, 120), 128)
        assert time.seconds == pytest.approx(1.2 * 3600, rel=0.10)
        assert time.low < 160.4 + 119 * 33.22 + 120 * 1.59 < time.high


def test_loading_that_does_not_keep_up_bounds_the_time() -> None:
    waited = [run for run in GKE if run.loading == "none"]
    fitted = calibrate(FEW)
    rate = measured_loader([run for run in waited if run.count == 32], fitted)
    assert rate == pytest.approx(124800 / 154.3, rel=0.02)
    slow = work(waited[0]).model_copy(update={"loader": rate})
    assert forecast(fitted, slow, 64).train_s == pytest.approx(145.4, rel=0.1)
    assert forecast(fitted, slow, 64).input_bound
    assert not forecast(fitted, slow, 8).input_bound
    assert measured_loader([run for run in waited if run.count < 32], fitted) == float("inf")


def test_further_out_the_interval_is_wider() -> None:
    fitted, run = calibrate(FEW), FEW[0]
    inside, outside = (forecast(fitted, work(run), count) for count in (64, 65))
    assert (inside.high / inside.seconds, inside.why) == (pytest.approx(1.1), "")
    assert outside.high / outside.seconds == pytest.approx(1.3)
    assert "calibrated on 2 to 32" in outside.why


def test_runs_that_scatter_widen_the_interval() -> None:
    rows = [run for run in FEW if run.batch == 96]
    wild = [
        Run(**{**run.__dict__, "epoch_s": run.epoch_s * f})
        for run, f in zip(rows, (1, 3, 1, 3), strict=True)
    ]
    time = forecast(calibrate(wild), work(rows[0]), 8)
    assert time.high / time.seconds > 1.3


def test_steps_are_whole() -> None:
    fitted = calibrate(FEW)
    one = Training(system="x", examples=199, batch=100, epochs=1)
    assert forecast(fitted, one, 1).train_s == pytest.approx(fitted.a + 100 * fitted.b + fitted.c)
    with pytest.raises(UsageError, match="2 devices with a batch of 100"):
        forecast(fitted, one, 2)


def test_another_kind_of_device_has_no_forecast() -> None:
    fitted = calibrate(FEW)
    assert on_device(fitted, known_devices()["TPU-v3"]) is None
    assert on_device(fitted, known_devices()["B200"]) is None  # too far off for a data sheet
    moved = on_device(fitted, known_devices()["A100"])
    assert moved is not None
    assert (moved.a, moved.c) == (fitted.a, fitted.c)
    assert moved.b < fitted.b
