"""A Quote as JSON and as text."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from catalog.cost.offers import Offer
from catalog.cost.quote import Quote
from catalog.text import number, table

_SHOWN = 20  # offers of the front
_HEAD = (
    "WHERE", "MACHINE", "DEVICES", "TIME (80 %)", "USD (80 %)", "KG CO2", "CLEAN", "$/EPOCH",
    "PRICE",
)  # fmt: skip


def as_dict(quote: Quote) -> dict[str, Any]:
    """The JSON of `catalog quote`. What is not known is null, never a guess."""
    return {
        "job": quote.job.model_dump(mode="json"),
        "calibrated_on": list(quote.calibrated_on),
        "assumptions": list(quote.assumptions),
        "offers": [asdict(offer) for offer in quote.offers],
    }


def human(quote: Quote, every: bool = False) -> str:
    """Offers that no other beats as a table, then what they rest on."""
    shown = quote.offers if every else quote.front[:_SHOWN]
    rows = [_row(offer) for offer in shown]
    used = [i for i in range(len(_HEAD)) if any(row[i] != "-" for row in rows)]
    lines = [
        f"job      {quote.job.name}" + (f": {quote.job.about}" if quote.job.about else ""),
        "",
        table([_HEAD[i] for i in used], [[row[i] for i in used] for row in rows]),
        "",
    ]
    if (more := len(quote.offers) - len(shown)) > 0:
        lines.append(f"note     {more} more offers, most beaten by these: --all, or --json")
    lines += [f"rests on {words}" for words in quote.calibrated_on]
    if doubts := sorted({offer.why for offer in shown if offer.why}):
        lines.append(f"wider    {'; '.join(doubts)}")
    lines += [f"assumed  {words}" for words in quote.assumptions]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`, `2.1 d`."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _usd(value: float) -> str:
    """Dollars and cents; of less than a dollar two digits that count."""
    return f"{value:,.2f}" if value >= 1 else f"{value:.2g}"


def _row(offer: Offer) -> tuple[str, ...]:
    kind = " spot" if offer.spot else ""
    low, high = duration(offer.seconds_low), duration(offer.seconds_high)
    money = "-"
    if offer.usd is not None and offer.usd_low is not None and offer.usd_high is not None:
        money = f"{_usd(offer.usd)} ({_usd(offer.usd_low)}..{_usd(offer.usd_high)})"
        money += "" if offer.host else " *"
    clean = "-" if offer.carbon_free is None else f"{offer.carbon_free:.0%}"
    return (
        offer.where, offer.name or "-", f"{offer.count} x {offer.device}{kind}",
        f"{duration(offer.seconds)} ({low}..{high})" + (" waits for data" * offer.input_bound),
        money, number(offer.co2_kg), clean,
        "-" if offer.usd_epoch is None else f"{offer.usd_epoch:.3f}", offer.price_date or "-",
    )  # fmt: skip
