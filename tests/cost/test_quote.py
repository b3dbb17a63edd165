"""Quotes of jobs: what is offered, at what price, and what is answered with a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from catalog.cost.offers import Offer, rework
from catalog.cost.prices import COLUMNS, Price, all_prices, parse_prices
from catalog.cost.quote import Asked, Quote, cheapest, make_quote
from catalog.cost.timemodel import published
from catalog.errors import CatalogError, NotFound, NothingFits, UsageError
from catalog.jobs.job import Job, load_job

GAN, HIGGS = load_job("3dgan-gke"), load_job("higgs-kubecon")


def prices(as_of: str = "") -> list[Price]:
    return all_prices(Path("/nonexistent"), as_of=as_of)


def quote(job: Job, as_of: str = "", **asked: object) -> Quote:
    known = published(job.training.system) if job.training else []
    return make_quote(job, prices(as_of), known, Asked(**asked))  # type: ignore[arg-type]


def one(found: Quote, device: str, count: int, spot: bool) -> Offer:
    (offer,) = [o for o in found.offers if (o.device, o.count, o.spot) == (device, count, spot)]
    return offer


def test_an_epoch_on_gpus_costs_two_and_a_half_times_one_on_a_tpu() -> None:
    found = quote(GAN, "2022", where=("gcp:europe-west4",))
    gpu, tpu = (one(found, d, 8, True).usd_epoch for d in ("V100", "TPU-v3"))
    assert gpu is not None
    assert tpu is not None
    assert gpu / tpu == pytest.approx(2.45, abs=0.1)
    assert gpu == pytest.approx(0.764, rel=0.03)
    assert tpu == pytest.approx(0.311, rel=0.03)


def test_the_host_is_added_where_it_is_priced_apart_and_told_where_it_is_not() -> None:
    then = one(quote(GAN, "2022", where=("gcp:europe-west4",)), "V100", 8, False)
    now = one(quote(GAN, where=("gcp:europe-west4",)), "V100", 8, False)
    (core,) = [r.usd for r in prices() if (r.kind, r.region) == ("core", "europe-west4")]
    assert (then.host, now.host) == (False, True)
    assert then.usd is not None
    assert now.usd is not None
    kept = (200 * 0.02 / 730) * now.seconds / 3600
    assert now.usd - then.usd == pytest.approx(64 * core * now.seconds / 3600 + kept, rel=1e-6)


def test_on_128_gpus_the_shipped_job_takes_an_hour_and_a_fifth() -> None:
    offer = one(quote(GAN, "2022", where=("gcp:europe-west4",)), "V100", 128, False)
    assert offer.seconds == pytest.approx(1.2 * 3600, rel=0.1)


def test_no_offer_of_the_front_is_beaten_and_every_other_is() -> None:
    found = quote(GAN)

    def values(o: Offer) -> tuple[float, float, float]:
        return o.seconds, o.usd or 0.0, float("inf") if o.co2_kg is None else o.co2_kg

    every = [values(o) for o in found.offers]
    for offer in found.offers:
        own = values(offer)
        beaten = any(o != own and all(a <= b for a, b in zip(o, own, strict=True)) for o in every)
        assert beaten != offer.front
    times = [o.seconds for o in found.front]
    assert times == sorted(times)
    assert found.offers[: len(times)] == found.front


def test_limits_leave_out_what_is_beyond_them() -> None:
    found = quote(GAN, deadline_s=7200, max_usd=120)
    assert all(o.seconds <= 7200 * 1.001 and (o.usd or 0) <= 120 for o in found.offers)
    with pytest.raises(NothingFits, match=r"the fastest takes \d+ s and \$\d+"):
        quote(GAN, deadline_s=60)


def test_the_higgs_analysis_needs_thirty_thousand_cores_for_ten_minutes() -> None:
    found = quote(HIGGS)
    for offer in found.offers:
        assert offer.count == 30907  # 4,636 core-hours in 10 min less 60 s of start-up
        assert offer.seconds == pytest.approx(600, rel=0.001)
        assert offer.usd_low < offer.usd < offer.usd_high  # type: ignore[operator]
    assert cheapest(found).spot
    told = " ".join(found.assumptions)
    assert "4636 core-hours" in told
    assert "66.7 GB/s" in told
    slow = HIGGS.model_copy(update={"time_limit": None, "nodes": 244})
    offer = quote(slow).offers[0]
    assert (offer.count, round(offer.seconds / 3600)) == (244, 19)


def test_more_cores_than_tasks_are_refused() -> None:
    work = HIGGS.parallel.model_copy(update={"tasks": 1000})  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="1000 tasks cannot be spread over the 30907 cores"):
        quote(HIGGS.model_copy(update={"parallel": work}))


@pytest.mark.parametrize(
    ("job", "asked", "error", "says"),
    [
        ({"device": "V1000"}, {}, NotFound, "no device 'V1000'"),
        ({"where": "gcp", "region": "atlantis"}, {}, UsageError, "no price of gcp .*'atlantis'"),
        ({"region": "europe-west4"}, {}, UsageError, "belongs to no place"),
        ({"device": "TPU-v3", "nodes": 3, "devices": 5}, {}, NothingFits, "15 x TPU-v3"),
        ({}, {"where": ("moon",)}, UsageError, "no price is known at 'moon'"),
        ({}, {"max_usd": float("nan")}, UsageError, "--max-usd nan"),
        ({}, {"max_usd": 1e300}, UsageError, "--max-usd"),
        ({}, {"deadline_s": float("inf")}, UsageError, "--deadline inf"),
        ({"training": None}, {}, UsageError, "does not say how much work"),
    ],
)
def test_what_makes_no_sense_is_answered_with_a_sentence(
    job: dict[str, object], asked: dict[str, object], error: type[CatalogError], says: str
) -> None:
    with pytest.raises(error, match=says) as told:
        quote(GAN.model_copy(update=job), **asked)
    assert told.value.hint


def test_a_system_that_nobody_ran_has_no_quote() -> None:
    work = GAN.training.model_copy(update={"system": "mine"})  # type: ignore[union-attr]
    with pytest.raises(NothingFits, match="no run of 'mine' is known"):
        quote(GAN.model_copy(update={"training": work}))


def test_a_computing_centre_with_its_own_rates_is_an_offer_like_any_other() -> None:
    text = ",".join(COLUMNS) + "\nnode,cern,CHE,gpu node,V100,8,4.0,,2026-11,our accounting\n"
    rows = [*prices(), *parse_prices(text, "rates.csv")]
    found = make_quote(GAN, rows, published("3dgan-gke"), Asked(where=("cern",)))
    offer = one(found, "V100", 8, False)
    assert offer.where == "cern:CHE"
    assert offer.usd == pytest.approx(4.0 * offer.seconds / 3600)
    assert offer.co2_kg == pytest.approx(offer.seconds / 3600 * 8 * 0.3 * 1.5 * 34.8 / 1000)
    assert "calibrated on gcp" in offer.why


def test_spot_costs_rework_that_grows_with_time_and_machines() -> None:
    assert rework(3600, 1, 120) > 1
    assert rework(3600, 16, 120) > rework(3600, 1, 120)
    found = quote(GAN, "2022", where=("gcp:europe-west4",))
    for count in (8, 128):
        assert one(found, "V100", count, True).seconds > one(found, "V100", count, False).seconds


def test_results_that_leave_cost_egress() -> None:
    sent = GAN.model_copy(update={"outputs": (HIGGS.inputs[0].model_copy(update={"gb": 100.0}),)})
    with_it, without = (
        one(quote(job, where=("gcp:europe-west4",)), "TPU-v3", 8, True) for job in (sent, GAN)
    )
    assert with_it.usd is not None
    assert without.usd is not None
    assert with_it.usd - without.usd == pytest.approx(100 * 0.12, rel=0.01)


def test_what_the_job_fixes_is_not_offered_otherwise() -> None:
    fixed = {"device": "V100", "nodes": 2, "devices": 8, "where": "gcp", "spot": True}
    found = quote(GAN.model_copy(update=fixed))
    assert {(o.device, o.count, o.spot, o.where.partition(":")[0]) for o in found.offers} == {
        ("V100", 16, True, "gcp")
    }


def test_a_quote_is_the_same_whatever_the_order_of_the_prices() -> None:
    there = make_quote(GAN, prices(), published("3dgan-gke"), Asked())
    back = make_quote(GAN, prices()[::-1], published("3dgan-gke"), Asked())
    assert {replace(o, why="") for o in there.offers} == {replace(o, why="") for o in back.offers}
