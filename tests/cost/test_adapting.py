"""The cost of an adaptation: told by recorded runs, else by a real short run of the recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from catalog.adapt.log import Adaptation, read_records
from catalog.adapt.recipe import load_recipe
from catalog.cost.adapting import adaptation_job, device_of, enough, from_log, probe
from catalog.cost.offers import HERE
from catalog.cost.timemodel import forecast
from catalog.pull import read_folder
from catalog.showers.reader import read_showers

ROOT = Path(__file__).parents[2] / "sample_models"
ONE = next(r for r in read_records(ROOT / "evidence.jsonl") if r.strategy == "full")


def ran(steps: int, seconds: float, **more: object) -> Adaptation:
    return replace(ONE, steps=steps, seconds=seconds, showers=100, seed=steps, **more)  # type: ignore[arg-type]


def training(steps: int = 300) -> object:
    recipe = load_recipe("full")
    return adaptation_job(ONE.family, 100, recipe, steps, ["catalog"], Path("none"))[1]


def test_recorded_runs_give_what_a_step_takes_and_what_the_rest() -> None:
    runs = [ran(steps, 20 + 0.1 * steps) for steps in (100, 200, 300, 400)]
    (fitted,) = from_log(runs, training(), 100)
    time = forecast(fitted, training(), 1)
    assert fitted.fixed_s == pytest.approx(20, rel=1e-3)
    assert time.seconds == pytest.approx(50, rel=1e-3)
    assert time.high / time.seconds == pytest.approx(1.1)
    assert enough(runs, training(), 100)


def test_runs_that_scatter_widen_the_interval_and_few_do_too() -> None:
    wild = [ran(300, seconds, where=HERE) for seconds in (20.0, 100.0, 30.0, 200.0)]
    (fitted,) = from_log(wild, training(), 100)
    assert fitted.spread > 0.5
    (alone,) = from_log([ran(300, 50.0)], training(), 100)
    assert alone.spread == pytest.approx(0.3)
    assert not enough([ran(300, 50.0)], training(), 100)


def test_runs_that_are_not_like_this_one_tell_nothing() -> None:
    others = [
        ran(5000, 50.0), replace(ran(300, 50.0), showers=10_000), ran(300, 5.0, strategy="scratch"),
        ran(300, 5.0, family="flow"), ran(300, 5.0, device="CPU-less thing"),
    ]  # fmt: skip
    assert from_log([*others[:4]], training(), 100) == []


def test_runs_of_another_place_calibrate_that_place() -> None:
    runs = [ran(300 + i, 5.0, where="slurm", device="1 x NVIDIA H100 80GB HBM3") for i in range(3)]
    (fitted,) = from_log(runs, training(), 100)
    assert (fitted.where, fitted.device.name) == ("slurm", "H100")
    assert not enough(runs, training(), 100)  # of this machine nothing is known


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("CPU, x86_64", "CPU"), ("1 x Tesla V100-SXM2-16GB", "V100"), ("1 x NVIDIA A10", "A10"),
        ("1 x NVIDIA A10G", "A10G"), ("2 x NVIDIA A10", None), ("1 x Quadro", None),
    ],
)  # fmt: skip
def test_devices_are_known_by_what_the_driver_calls_them(told: str, name: str | None) -> None:
    found = device_of(told)
    assert (found.name if found else None) == name


def test_a_probe_trains_and_its_steps_add_up() -> None:
    pytest.importorskip("torch")
    parent = read_folder(ROOT / "versions" / "vae-pbwo4")
    target = read_showers(ROOT / "data" / "par04-siw-electron.h5", limit=40)
    said: list[str] = []
    fitted = probe(parent, target, 40, load_recipe("full"), said.append)
    assert said
    assert fitted.where == HERE
    assert fitted.a + fitted.b > 0
    assert fitted.fixed_s > 0
    assert fitted.device.name == "CPU" or fitted.device.kind == "gpu"
