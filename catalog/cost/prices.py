"""Prices as dated rows with their source: shipped, the user's own, and the user's SkyPilot cache.

kind         price
node         $/h of a machine with its `count` devices, host included
accelerator  $/h of one device, the host apart
core         $/h of one virtual core with its memory
storage      $ per GB and month
egress       $ per GB that leaves

A spot price that is empty is not offered. A region `*` is any region of that place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from catalog.cost.devices import load_device
from catalog.cost.table import MAX_BYTES, Line, read_table
from catalog.errors import BadFile, CatalogError, StoreError

Kind = Literal["node", "accelerator", "core", "storage", "egress"]
COLUMNS = (
    "kind", "where", "region", "name", "device", "count", "price", "spot_price", "date", "source"
)  # fmt: skip
_NO_PRICE = 700.0  # what SkyPilot's catalogs write where they know no price
_PER_GB = ("storage", "egress")
_DATE = r"\d{4}(-\d{2}(-\d{2})?)?"
_FOLDER = "prices"


@dataclass(frozen=True)
class Price:
    """One row; see the module. `count` devices of one machine."""

    kind: Kind
    where: str
    region: str
    name: str
    device: str
    count: int
    usd: float
    spot_usd: float | None
    date: str
    source: str

    @property
    def key(self) -> tuple[object, ...]:
        """What a newer row replaces."""
        return (self.kind, self.where, self.region, self.name, self.device, self.count)


def parse_prices(text: str, where: str) -> list[Price]:
    """The rows of a price table.

    Raises
    ------
    BadFile
        A row is wrong, repeated, or holds what stands for no price; names file and line.
    """
    found: dict[tuple[object, ...], Price] = {}
    for line in read_table(text, where, COLUMNS):
        row = _price(line)
        if (row.key, row.date) in found:
            line.refuse(f"a second price of {row.name or row.kind} in {row.region} on {row.date}")
        found[row.key, row.date] = row
    return list(found.values())


def read_prices(path: Path) -> list[Price]:
    """A user's own price table, such as the rates of a computing centre; see `parse_prices`."""
    return parse_prices(_text_of(path), str(path))


@cache
def shipped_prices() -> tuple[Price, ...]:
    """All shipped rows."""
    found: list[Price] = []
    for file in sorted(files("catalog.cost").joinpath("data").iterdir(), key=lambda f: f.name):
        if file.name.startswith("prices-"):
            found += parse_prices(file.read_text("utf-8"), file.name)
    return tuple(found)


def all_prices(home: Path, own: Sequence[Price] = (), as_of: str = "") -> list[Price]:
    """Shipped, refreshed and the user's own rows; of each, the newest that `as_of` knew.

    A row that the user gives now counts before all others, whatever its date.
    """
    refreshed = [
        row for path in sorted((home / _FOLDER).glob("*.csv")) for row in read_prices(path)
    ]
    newest: dict[tuple[object, ...], Price] = {}
    for row in sorted([*shipped_prices(), *refreshed], key=lambda row: row.date):
        if not as_of or row.date[: len(as_of)] <= as_of:
            newest[row.key] = row
    return list({**newest, **{row.key: row for row in own}}.values())


def refresh(home: Path, source: str) -> tuple[Path, int]:
    """Keep the price table of a file or an https address; returns where, and how many rows.

    Nothing is kept if one row is wrong.

    Raises
    ------
    BadFile, StoreError
    """
    text = _fetch(source) if source.startswith("https://") else _text_of(Path(source))
    rows = parse_prices(text, source)
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", Path(source).stem).strip(".-") or "prices"
    target = home / _FOLDER / f"{stem}.csv"
    temp = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temp.write_text(text, encoding="utf-8")
        temp.replace(target)
    except OSError as exc:
        raise StoreError(f"{target}: cannot be written: {exc.strerror}") from exc
    return target, len(rows)


def check_date(text: str) -> str:
    """A date as rows have it.

    Raises
    ------
    CatalogError
    """
    if not re.fullmatch(_DATE, text):
        raise BadFile(f"{text[:40]!r} is no date", "write 2025, 2025-03 or 2025-03-02")
    return text


def regions(prices: Iterable[Price], where: str) -> list[str]:
    """Regions that a place has prices of machines in."""
    rows = [row for row in prices if row.where == where and row.kind not in _PER_GB]
    return sorted({row.region for row in rows})


def _price(line: Line) -> Price:
    kind, usd, spot = line.text("kind"), line.number("price"), line.number("spot_price")
    if kind not in get_args(Kind):
        line.refuse(f"kind {kind[:40]!r} is none of {', '.join(get_args(Kind))}")
    if usd is None:
        line.refuse("price is empty")
    if _NO_PRICE in (usd, spot):
        line.refuse(f"{_NO_PRICE:g} stands for no price")
    if spot is not None and spot > usd:
        line.refuse(f"the spot price {spot:g} is above the price {usd:g}")
    device, date = line.cells["device"], line.text("date")
    if kind not in _PER_GB:
        try:
            device = load_device(line.text("device")).name
        except CatalogError as exc:
            line.refuse(f"{exc.message}; {exc.hint}")
    if not re.fullmatch(_DATE, date):
        line.refuse(f"date {date[:40]!r} is not like 2025, 2025-03 or 2025-03-02")
    return Price(
        kind, line.text("where").lower(), line.text("region"), line.cells["name"],  # type: ignore[arg-type]
        device, line.whole("count"), usd, spot, date, line.text("source"),
    )  # fmt: skip


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile(f"{path}: larger than {MAX_BYTES} bytes, so not a price table")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise BadFile(f"{path}: cannot be read: {exc.strerror}") from exc


def _fetch(url: str) -> str:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=30) as answer:  # noqa: S310  https only
            data: bytes = answer.read(MAX_BYTES + 1)
    except (URLError, TimeoutError, ValueError) as exc:
        raise StoreError(f"{url}: {exc}", "give an https address or a file") from exc
    if len(data) > MAX_BYTES:
        raise BadFile(f"{url}: larger than {MAX_BYTES} bytes, so not a price table")
    return data.decode("utf-8", errors="replace")
