"""A Quote: what a Job takes on each offer, before anything starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from catalog.adapt.duration import parse_duration
from catalog.cost.offers import (
    CHECKPOINT_S,
    HERE,
    HOST_CORES,
    LOST_PER_DAY,
    Offer,
    all_offers,
    cores_for,
    startup_s,
)
from catalog.cost.prices import Price, regions
from catalog.cost.timemodel import Calibration
from catalog.errors import NothingFits, UsageError
from catalog.jobs.job import Job

_NEAR = 1.001  # cores are sized to end just in time, before what spot machines lose


@dataclass(frozen=True)
class Asked:
    """What bounds the offers: seconds, dollars, places (`gcp`, `gcp:europe-west4`, `here`)."""

    deadline_s: float | None = None
    max_usd: float | None = None
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quote:
    """Offers, those that no other beats in time, money and CO2 together first, the fastest on top.

    calibrated_on : the runs that the times rest on
    assumptions : what was taken for granted, in words
    """

    job: Job
    offers: tuple[Offer, ...]
    calibrated_on: tuple[str, ...]
    assumptions: tuple[str, ...]

    @property
    def front(self) -> tuple[Offer, ...]:
        """Offers that no other beats."""
        return tuple(offer for offer in self.offers if offer.front)


def asked_for(deadline: str | None, max_usd: float | None, where: Sequence[str]) -> Asked:
    """What a user asked for; the deadline is a duration such as 2h.

    Raises
    ------
    UsageError
    """
    return Asked(parse_duration(deadline) if deadline else None, max_usd, tuple(where))


def make_quote(
    job: Job, prices: Sequence[Price], calibrations: Sequence[Calibration], asked: Asked
) -> Quote:
    """All offers of a Job within what was asked for.

    Raises
    ------
    UsageError
        A place, region or limit makes no sense, or the Job does not say how much work it is.
    NotFound
        An unknown device.
    NothingFits
        No offer: says why, and what the nearest one would take.
    """
    _check(job, prices, asked)
    named = ":".join(filter(None, (job.where, job.region)))
    check_places([*asked.where, *([named] if named else [])], prices)
    made = list(all_offers(job, prices, calibrations, asked.deadline_s))
    if not made:
        raise NothingFits(*_nothing(job, calibrations))
    placed = [offer for offer in made if _at(offer, asked.where)]
    if not placed:
        raise NothingFits(
            f"nothing is offered at {', '.join(asked.where)} whose time could be told",
            "leave --where out to see what is offered",
        )
    found = _pareto([offer for offer in placed if _within(offer, asked)])
    if not found:
        raise NothingFits(*_too_tight(placed))
    return Quote(
        job, tuple(found), tuple(dict.fromkeys(each.source for each in calibrations)),
        tuple(assumptions(job, found, asked)),
    )  # fmt: skip


def check_places(wanted: Sequence[str], prices: Sequence[Price]) -> None:
    """Refuse a place or a region that has no price, naming those that have.

    Raises
    ------
    UsageError
    """
    places = {HERE, *(row.where for row in prices if row.kind not in ("storage", "egress"))}
    for text in wanted:
        where, _, region = text.partition(":")
        if where not in places:
            raise UsageError(
                f"no price is known at {where[:40]!r}", f"known: {', '.join(sorted(places))}"
            )
        known = regions(prices, where)
        if region and region not in known and "*" not in known:
            raise UsageError(
                f"no price of {where} is known in {region[:40]!r}",
                f"its regions with prices: {', '.join(known) or 'none'}",
            )


def cheapest(quote: Quote) -> Offer:
    """The offer of least money, the fastest of equals; a machine without a price costs nothing."""
    return min(quote.offers, key=lambda offer: (offer.usd or 0.0, offer.seconds))


def assumptions(job: Job, offers: Sequence[Offer], asked: Asked) -> list[str]:
    """What was taken for granted, in words."""
    told = [f"start-up {startup_s(job):.0f} s (here 0 s)"]
    if job.parallel:
        cores = cores_for(job, job.parallel, asked.deadline_s)
        told += [
            f"{job.parallel.core_hours:g} core-hours spread evenly over {cores} cores that are as "
            "fast as those they were measured on; no task waits for another",
        ]
        if gb := sum(blob.gb or 0.0 for blob in job.inputs):
            busy = job.parallel.core_hours * 3600 / cores
            told.append(
                f"{gb:g} GB are read at {gb / busy:.3g} GB/s in all, {1e3 * gb / busy / cores:.2g} "
                "MB/s per core, from storage in the same region, which must deliver that"
            )
    else:
        told.append("machines are full: as many devices of each as it holds")
    if any(offer.spot for offer in offers):
        told.append(
            f"{LOST_PER_DAY:.0%} of spot machines are lost per day, a checkpoint every "
            f"{CHECKPOINT_S:.0f} s; the rework is in time and money"
        )
    if any(not offer.host for offer in offers):
        told.append("offers marked * are of accelerators only: no price of their host is known")
    elif any(offer.host and offer.name in ("V100", "A100") for offer in offers):
        told.append(f"a host of {HOST_CORES} cores per accelerator is added where priced apart")
    if sum(blob.gb or 0.0 for blob in job.outputs):
        told.append("outputs leave to the internet at the first step of the price list")
    told.append("CO2: design power of the devices x PUE x the grid of the region; no host, no disk")
    return told


def _check(job: Job, prices: Sequence[Price], asked: Asked) -> None:
    for name, value in (("--deadline", asked.deadline_s), ("--max-usd", asked.max_usd)):
        if value is not None and not 0 < value < 1e12:
            raise UsageError(f"{name} {value:g} is no limit", "give a number above zero")
    if job.training is None and job.parallel is None:
        raise UsageError(
            f"the job {job.name!r} does not say how much work it is",
            "add `training:` or `parallel:` to its file: docs/cost.md",
        )
    if job.region and not job.where:
        known = sorted({row.where for row in prices if job.region == row.region})
        places = sorted({row.where for row in prices})
        raise UsageError(
            f"the region {job.region!r} belongs to no place in the job",
            f"add `where: {known[0]}`" if known else f"add `where:`, one of {', '.join(places)}",
        )


def _at(offer: Offer, where: Sequence[str]) -> bool:
    return not where or any(
        offer.where == each or offer.where.partition(":")[0] == each for each in where
    )


def _within(offer: Offer, asked: Asked) -> bool:
    fast = asked.deadline_s is None or offer.seconds <= asked.deadline_s * _NEAR
    return fast and (asked.max_usd is None or (offer.usd or 0.0) <= asked.max_usd)


def _pareto(offers: Sequence[Offer]) -> list[Offer]:
    """All offers, those of the front marked and first; CO2 that is not known beats nothing."""
    values = [
        (offer.seconds, offer.usd or 0.0, math.inf if offer.co2_kg is None else offer.co2_kg)
        for offer in offers
    ]
    marked = []
    for offer, own in zip(offers, values, strict=True):
        beaten = any(
            other != own and all(o <= v for o, v in zip(other, own, strict=True))
            for other in values
        )
        marked.append(replace(offer, front=not beaten))
    return sorted(marked, key=lambda offer: (not offer.front, offer.seconds, offer.usd or 0.0))


def _nothing(job: Job, calibrations: Sequence[Calibration]) -> tuple[str, str]:
    if job.training and not calibrations:
        return (
            f"no run of {job.training.system!r} is known, so its time cannot be told",
            "name a published system or a model family, or record a run: docs/cost.md",
        )
    wanted = f"{job.nodes * job.devices} x {job.device}" if job.device else "any known device"
    place = ":".join(filter(None, (job.where, job.region))) or "any place"
    return (
        f"no price of {wanted} at {place} whose time could be told from "
        f"{', '.join(sorted({each.device.name for each in calibrations})) or 'the job'}",
        "leave device, where or region out of the job to see what is offered",
    )


def _too_tight(offers: Sequence[Offer]) -> tuple[str, str]:
    fast = _words(min(offers, key=lambda offer: offer.seconds))
    cheap = _words(min(offers, key=lambda offer: offer.usd or 0.0))
    return (
        f"no offer is within these limits: the fastest takes {fast}, the cheapest {cheap}",
        "allow a longer --deadline or more --max-usd",
    )


def _words(offer: Offer) -> str:
    return f"{offer.seconds:.0f} s and ${offer.usd or 0:.2f} ({offer.count} x {offer.device})"
