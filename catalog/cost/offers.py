"""Offers: every price that a Job could be run at, with the time, money and CO2 it would take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from catalog.adapt.duration import parse_duration
from catalog.cost.carbon import co2_kg, grid_of, regions_of
from catalog.cost.devices import Device, load_device
from catalog.cost.prices import Price
from catalog.cost.timemodel import OUTSIDE, Calibration, Duration, forecast, on_device
from catalog.errors import UsageError
from catalog.jobs.job import Job, Parallel

HERE = "here"
MOST = 128  # devices that are offered where the Job leaves the number open
STARTUP_S = 120.0  # of machines in a cloud, where the Job does not say
HOST_CORES = 8  # that a machine has per accelerator, where the two are priced apart
LOST_PER_DAY = 0.10  # of spot machines
CHECKPOINT_S = 600.0
_MONTH_H = 730.0
_HELD = 8  # accelerators of one machine


@dataclass(frozen=True)
class Offer:
    """One way to run a Job.

    where : `place:region`
    usd, co2_kg : None where it is not known (your own machine, a power that is not published)
    carbon_free : share of the hours that the provider matched with clean energy it bought
    host : whether the machine that holds the accelerators is in the price
    usd_epoch : of one epoch in the long run, without start-up, rework, storage and egress
    why : what widened the interval, in words
    """

    where: str
    device: str
    count: int
    spot: bool
    seconds: float
    seconds_low: float
    seconds_high: float
    usd: float | None
    usd_low: float | None
    usd_high: float | None
    co2_kg: float | None
    price_date: str
    price_source: str
    name: str = ""
    carbon_free: float | None = None
    host: bool = True
    usd_epoch: float | None = None
    input_bound: bool = False
    why: str = ""
    front: bool = False


def all_offers(
    job: Job, prices: Sequence[Price], calibrations: Sequence[Calibration], deadline_s: float | None
) -> Iterator[Offer]:
    """Every offer whose time can be told, those of this machine first.

    Raises
    ------
    UsageError, NotFound
    """
    device = load_device(job.device) if job.device else None
    yield from _here(job, prices, calibrations, device)
    for row in _machines(prices, job):
        if device is None or row.device == device.name:
            for count in _counts(job, row, deadline_s):
                if (time := _time(job, row, count, calibrations)) is not None:
                    yield from _priced(job, row, count, time, prices)


def _machines(prices: Iterable[Price], job: Job) -> Iterator[Price]:
    """Rows of machines that the Job may run on, with `*` spelled out."""
    for row in prices:
        if row.kind in ("storage", "egress") or job.where not in (None, row.where):
            continue
        found = [row.region] if row.region != "*" else regions_of(row.where) or ["*"]
        yield from (replace(row, region=r) for r in found if job.region in (None, r))


def _counts(job: Job, row: Price, deadline_s: float | None) -> list[int]:
    """Numbers of devices that this row can give, of those that the Job leaves open."""
    if job.parallel:
        return [cores_for(job, job.parallel, deadline_s)] if row.kind == "core" else []
    if row.kind == "core":
        return [job.cpus or job.nodes * job.devices]
    slices = row.device.startswith("TPU")
    if job.device:
        wanted = job.nodes * job.devices
        small = row.kind == "node" and row.count < job.devices
        fits = wanted == row.count if slices else not small and wanted % row.count == 0
        return [wanted] if fits else []
    sizes = [row.count] if slices else _doubled(row.count)
    training = job.training
    if training is None or training.steps:  # a recipe's own batch: one device
        return [1] if row.count == 1 else []
    return [n for n in sizes if n * training.batch <= training.examples]


def cores_for(job: Job, work: Parallel, deadline_s: float | None) -> int:
    """Cores that end independent tasks in time; those that the Job names if there is no limit.

    Raises
    ------
    UsageError
    """
    limit = deadline_s or (parse_duration(job.time_limit) if job.time_limit else None)
    if limit is None:
        return job.nodes * job.devices
    left = limit - startup_s(job)
    if left <= 0:
        raise UsageError(
            f"{limit:.0f} s are no longer than the start-up of {startup_s(job):.0f} s",
            "allow more time, or say how fast it starts: `startup:` in the job",
        )
    cores = math.ceil(work.core_hours * 3600 / left)
    if work.tasks and cores > work.tasks:
        raise UsageError(
            f"{work.tasks} tasks cannot be spread over the {cores} cores that this takes",
            f"allow at least {work.core_hours / work.tasks:.3g} h, or cut the work into more tasks",
        )
    return cores


def startup_s(job: Job) -> float:
    """From asking for machines to the first step, s."""
    return parse_duration(job.startup) if job.startup else STARTUP_S


def _time(job: Job, row: Price, count: int, known: Sequence[Calibration]) -> Duration | None:
    if job.parallel:
        body = job.parallel.core_hours * 3600 / count
        seconds = startup_s(job) + body
        why = "core-hours of other cores"
        low, high = seconds - OUTSIDE * body, seconds + OUTSIDE * body
        return Duration(seconds, low, high, 0.0, 0.0, why=why)
    if job.training is None:
        return None
    fitted, doubt = calibration_for(load_device(row.device), row.where, known)
    if fitted is None:
        return None
    used = 1 if row.kind == "core" else count  # all cores of a machine are one device
    return forecast(fitted, job.training, used, startup_s(job), doubt)


def calibration_for(
    device: Device, where: str, known: Sequence[Calibration]
) -> tuple[Calibration | None, str]:
    """The calibration of a device, else of the nearest of its kind, and why to doubt it."""
    same = [each for each in known if each.device.name == device.name]
    if same:
        fitted = min(same, key=lambda each: each.where != where)
        return fitted, "" if fitted.where == where else f"calibrated on {fitted.where}"
    moved = [(on_device(each, device), each) for each in known]
    near = [(found, each) for found, each in moved if found is not None]
    if not near:
        return None, ""
    ratio = [abs(math.log(device.speed / each.device.speed)) for _, each in near]
    found, each = near[ratio.index(min(ratio))]
    return found, f"calibrated on {each.device.name} of {each.where}"


def _here(
    job: Job, prices: Sequence[Price], known: Sequence[Calibration], device: Device | None
) -> Iterator[Offer]:
    """This machine, where runs of it are known and no price of it is: nobody is paid."""
    training = job.training
    if training is None or job.where not in (None, HERE) or job.region or job.spot:
        return
    if any(row.where == HERE for row in prices):
        return  # a rate of its own: priced as any other place
    for fitted in known:
        if fitted.where == HERE and device in (None, fitted.device):
            time = forecast(fitted, training, 1, 0.0)
            count = job.cpus or 1 if fitted.device.kind == "cpu" else 1
            yield Offer(
                HERE, fitted.device.name, count, False, time.seconds, time.low, time.high, None,
                None, None, None, "", "", input_bound=time.input_bound, why=time.why,
            )  # fmt: skip


def _priced(
    job: Job, row: Price, count: int, time: Duration, prices: Sequence[Price]
) -> Iterator[Offer]:
    """On demand and spot, as far as the row and the Job allow."""
    device, grid = load_device(row.device), grid_of(row.where, row.region)
    for spot in (False, True):
        rate = row.spot_usd if spot else row.usd
        if rate is None or job.spot not in (None, spot):
            continue
        hourly, host = rate * count / _unit(row), row.kind != "accelerator"
        if not host and (core := _core_price(row, spot, prices)) is not None:
            hourly, host = hourly + core * HOST_CORES * count, True
        extra = rework(time.seconds, _nodes(row, count), startup_s(job)) if spot else 1.0
        seconds, low, high = (extra * s for s in (time.seconds, time.low, time.high))
        fixed = _moved_and_kept(job, row, seconds, prices)
        yield Offer(
            f"{row.where}:{row.region}", device.name, count, spot, seconds, low, high,
            hourly * seconds / 3600 + fixed, hourly * low / 3600 + fixed,
            hourly * high / 3600 + fixed,
            co2_kg(device, count, seconds, row.where, row.region), row.date, row.source, row.name,
            grid.carbon_free if grid else None, host,
            hourly * time.epoch_s / 3600 if job.training and job.training.epochs else None,
            time.input_bound, time.why,
        )  # fmt: skip


def _unit(row: Price) -> int:
    """Devices that the row's price is of."""
    return row.count if row.kind == "node" else 1


def _nodes(row: Price, count: int) -> int:
    """Machines, any of which ends the run when it is taken away; tasks on cores are alone."""
    if row.kind == "node":
        return max(1, count // row.count)
    return math.ceil(count / _HELD) if row.kind == "accelerator" else 1


def rework(seconds: float, nodes: int, restart_s: float) -> float:
    """How much longer a run takes on spot machines: what is lost since a checkpoint, and restarts.

    A machine is lost `LOST_PER_DAY` times a day; each loss costs half of a checkpoint interval (of
    the run, if that is shorter) and a restart. Grows without bound where losses leave no progress.
    """
    lost = nodes * LOST_PER_DAY / 86400 * (min(CHECKPOINT_S, seconds) / 2 + restart_s)
    return 1 / max(1 - lost, 1e-3)


def _core_price(row: Price, spot: bool, prices: Iterable[Price]) -> float | None:
    """$/h of a core of the machine that holds accelerators: same place, same region."""
    for other in prices:
        if other.kind == "core" and (other.where, other.region) == (row.where, row.region):
            return other.spot_usd if spot else other.usd
    return None


def _moved_and_kept(job: Job, row: Price, seconds: float, prices: Iterable[Price]) -> float:
    """$ of what leaves the place, and of what lies there meanwhile."""
    leaves = sum(blob.gb or 0.0 for blob in job.outputs)
    kept = leaves + sum(blob.gb or 0.0 for blob in job.inputs) + (job.disk_gb or 0.0) * job.nodes
    usd = 0.0
    for other in prices:
        if other.where == row.where and other.region in ("*", row.region):
            if other.kind == "egress":
                usd += other.usd * leaves
            elif other.kind == "storage":
                usd += other.usd * kept * seconds / 3600 / _MONTH_H
    return usd


def _doubled(least: int) -> list[int]:
    """least, 2 least, 4 least ... up to MOST."""
    return [least * 2**k for k in range(20) if least * 2**k <= MOST]
