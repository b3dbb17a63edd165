"""What `catalog quote` asks: a Job of the user's, or an adaptation of a model to showers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from catalog.adapt.adapt import check_possible, settled
from catalog.adapt.log import Adaptation, read_log
from catalog.adapt.recipe import default_recipe, load_recipe
from catalog.cost.adapting import adaptation_job, enough, from_log, probe
from catalog.cost.offers import HERE, Offer
from catalog.cost.prices import Price, all_prices, check_date, read_prices
from catalog.cost.quote import Asked, Quote, cheapest, check_places, make_quote
from catalog.cost.sky import sky_prices
from catalog.cost.timemodel import Calibration, published
from catalog.errors import NothingFits
from catalog.jobs.job import Job
from catalog.pull import Pulled
from catalog.scoring.recommend import Recommendation
from catalog.settings import Settings
from catalog.showers import ShowerSet

Say = Callable[[str], None]


def known_prices(
    settings: Settings, rates: Path | None, as_of: str | None, say: Say
) -> list[Price]:
    """Shipped, refreshed and SkyPilot's rows, and before all the user's own rates.

    `as_of` leaves out what was not known then, SkyPilot's rows of today among them.

    Raises
    ------
    BadFile
    """
    own = read_prices(rates) if rates else []
    date = check_date(as_of) if as_of else ""
    sky = [] if date else sky_prices(Path.home(), say)
    return all_prices(settings.home, [*sky, *own], date)


def quote_job(job: Job, prices: Sequence[Price], settings: Settings, asked: Asked) -> Quote:
    """The quote of a Job that the user describes; see `make_quote`."""
    known: list[Calibration] = []
    if job.training:
        known = published(job.training.system) or from_log(
            read_log(settings.home), job.training, job.training.examples
        )
    return make_quote(job, prices, known, asked)


@dataclass(frozen=True)
class Adapting:
    """What would be adapted, on which showers of which file, and how (None: as measured)."""

    parent: Pulled
    target: ShowerSet
    data: Path
    showers: int
    recipe: str | None = None


def quote_adaptation(
    work: Adapting, prices: Sequence[Price], settings: Settings, asked: Asked, say: Say
) -> Quote:
    """The quote of `catalog adapt`: from recorded runs, else from a short run of the recipe.

    Raises
    ------
    UsageError, NothingFits, NotFound, BadFile, MissingExtra
    """
    check_places(asked.where, prices)  # before a minute of work
    parent, showers = work.parent, work.showers
    check_possible(parent, work.target, showers, steps=1)
    recipe = load_recipe(work.recipe) if work.recipe else None
    how, steps = settled(parent, showers, recipe, None)
    words = ["catalog", "adapt", parent.ref, "--data", str(work.data), "--showers", str(showers)]
    words += [*(["--recipe", work.recipe] if work.recipe else []), "--no-scratch"]
    job, training = adaptation_job(parent.card.family or "", showers, how, steps, words, work.data)
    log = read_log(settings.home)
    known = from_log(log, training, showers)
    if not enough(log, training, showers):
        elsewhere = [each for each in known if each.where != HERE]
        known = [probe(parent, work.target, showers, how, say), *elsewhere]
    return make_quote(job, prices, known, asked)


def priced(
    found: Recommendation, log: Sequence[Adaptation], prices: Sequence[Price], where: Sequence[str]
) -> dict[str, Offer]:
    """The cheapest offer of every recommended model that recorded runs tell the time of.

    Without a place it is this machine, if it has a rate.

    Raises
    ------
    UsageError
        A place that no price is known of.
    """
    check_places(where, prices)
    if not where and not any(row.where == HERE for row in prices):
        return {}
    offers = {}
    for candidate in found.ranking:
        family, n = candidate.ran.listed.row.family or "", found.showers
        recipe = default_recipe(family, n)
        how, steps = settled(candidate.ran.pulled, n, recipe, None)
        words = ["catalog", "adapt", candidate.ref]
        try:
            data = Path(found.target.source)
            job, training = adaptation_job(family, n, how, steps, words, data)
            known = from_log(log, training, n)
            asked = Asked(where=tuple(where) or (HERE,))
            offers[candidate.ref] = cheapest(make_quote(job, prices, known, asked))
        except NothingFits:
            continue  # nothing recorded, or nothing there: not priced, and said so by a dash
    return offers
