"""A Quote as a picture: money against time, the offers that no other beats joined by a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.cost.offers import Offer
from catalog.cost.quote import Quote
from catalog.errors import UsageError, cannot_write
from catalog.report.canvas import (
    drawing,
    head,
    label_few_decades,
    legend,
    look,
    need_matplotlib,
    render,
)

_FREE = 1e-3  # dollars: a machine without a price has no place on a log axis


def check_picture(path: Path | None) -> None:
    """Refuse a picture that cannot be drawn, before any work; None is no picture.

    Raises
    ------
    UsageError, MissingExtra
    """
    if path is None:
        return
    if path.suffix.lower() not in (".png", ".svg") or not path.parent.is_dir():
        raise UsageError(
            f"{path}: not a picture in a folder that exists", "give --plot FOLDER/NAME.png or .svg"
        )
    need_matplotlib()


def draw(quote: Quote, path: Path) -> str:
    """Write the picture; returns what was done, in words.

    The line joins offers that no other beats in time and money; CO2 has no axis of its own.
    """
    svg = path.suffix.lower() == ".svg"
    with drawing(4.4) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("Time to the end [h]")
        axes.set_ylabel("Price of the whole job [USD]")
        kinds = sorted({_kind(offer) for offer in quote.offers})
        handles = [
            _points(axes, [o for o in quote.offers if _kind(o) == kind], index)
            for index, kind in enumerate(kinds)
        ]
        front = _front(quote.offers)
        x, y = [o.seconds / 3600 for o in front], [_usd(o) for o in front]
        handles += axes.step(x, y, where="post", color="black", linewidth=1.1, zorder=2)
        _bars(axes, front)
        label_few_decades(axes)
        head(axes, quote.job.name, f"{len(quote.offers)} offers")
        legend(figure, handles, [*kinds, "not beaten (80 % bars)"])
        plot = render(figure, picture=not svg)
    temp = path.with_name(f".{path.name}.part")
    try:
        temp.write_bytes(_standing_alone(plot.svg) if svg else plot.png)
        temp.replace(path)
    except OSError as exc:
        raise cannot_write(path, exc) from exc
    return f"wrote {path}"


def _front(offers: tuple[Offer, ...]) -> list[Offer]:
    """Cheaper than all that are faster."""
    found: list[Offer] = []
    for offer in sorted(offers, key=lambda o: (o.seconds, _usd(o))):
        if not found or _usd(offer) < _usd(found[-1]):
            found.append(offer)
    return found


def _points(axes: Any, offers: list[Offer], index: int) -> Any:
    style = look(index)
    x, y = [o.seconds / 3600 for o in offers], [_usd(o) for o in offers]
    size = 4 if len(offers) > 40 else 5.5
    return axes.plot(x, y, style.marker, color=style.colour, ms=size, alpha=0.55, zorder=1)[0]


def _bars(axes: Any, offers: list[Offer]) -> None:
    for offer in offers:
        ends = [offer.seconds_low / 3600, offer.seconds_high / 3600]
        axes.plot(ends, [_usd(offer)] * 2, color="black", linewidth=0.8, alpha=0.6, zorder=3)


def _kind(offer: Offer) -> str:
    """What points share a colour: the place, and whether it can be taken away."""
    return offer.where.partition(":")[0] + (" spot" if offer.spot else "")


def _usd(offer: Offer) -> float:
    return max(offer.usd or 0.0, _FREE)


def _standing_alone(svg: str) -> bytes:
    """An `<svg>` element as a file."""
    return ('<?xml version="1.0" encoding="utf-8"?>\n' + svg).encode()
