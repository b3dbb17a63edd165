"""Prices out of a SkyPilot catalog that the user has in `~/.sky/catalogs/v8`.

Its rows that cannot be used are left out, with the reason: a price of 700 stands for none, and rows
repeat. Nothing of it is shipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from catalog.cost.devices import known_devices
from catalog.cost.prices import Price
from catalog.cost.table import MAX_BYTES, Line, read_table
from catalog.errors import BadFile

FOLDER = Path(".sky") / "catalogs" / "v8"
_COLUMNS = (
    "InstanceType", "vCPUs", "MemoryGiB", "AcceleratorName", "AcceleratorCount", "Region",
    "Price", "SpotPrice",
)  # fmt: skip
_NO_PRICE = 700.0


def sky_prices(home: Path, say: Callable[[str], None]) -> list[Price]:
    """Rows of machines with a known device; the cheapest zone of each region.

    Parameters
    ----------
    home : of the user
    """
    found: list[Price] = []
    for path in sorted((home / FOLDER).glob("*/vms.csv")):
        try:
            if path.stat().st_size > MAX_BYTES:
                raise BadFile(f"{path}: larger than {MAX_BYTES} bytes")
            found += _read(path, say)
        except (BadFile, OSError) as exc:
            say(f"not read: {exc}")
    return found


def _read(path: Path, say: Callable[[str], None]) -> list[Price]:
    date = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d")
    devices = {name.lower(): name for name in known_devices()}
    best: dict[tuple[object, ...], Price] = {}
    left_out: Counter[str] = Counter()
    first: dict[str, str] = {}
    for line in read_table(path.read_text("utf-8", "replace"), str(path), _COLUMNS):
        device = devices.get(line.cells["AcceleratorName"].lower())
        if device is None or device == "CPU":
            continue
        try:
            row = _row(line, device, path.parent.name, date)
        except BadFile as exc:
            why = exc.message.removeprefix(f"{line.place}: ")
            left_out[why] += 1
            first.setdefault(why, line.place)
            continue
        known = best.get(row.key)
        if known is None or row.usd < known.usd:
            best[row.key] = row
    for why, count in left_out.items():
        say(f"{count} rows left out, the first is {first[why]}: {why}")
    return list(best.values())


def _row(line: Line, device: str, where: str, date: str) -> Price:
    """One row; accelerators without a machine are priced by the device."""
    usd, spot = line.number("Price"), line.number("SpotPrice")
    number = line.number("AcceleratorCount")
    if not usd or usd == _NO_PRICE:
        line.refuse("no price" if usd != _NO_PRICE else "700 stands for no price")
    if not number or number != int(number):
        line.refuse("a share of a device")
    spot = None if not spot or spot == _NO_PRICE or spot > usd else spot
    machine, count = line.cells["InstanceType"], int(number)
    split = not machine and not device.startswith("TPU")
    each = count if split else 1
    return Price(
        "accelerator" if split else "node", where, line.text("Region"), machine or device, device,
        1 if split else count, usd / each, spot / each if spot else None, date,
        f"the user's SkyPilot catalog, {where}",
    )  # fmt: skip
