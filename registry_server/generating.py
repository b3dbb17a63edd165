"""From "100 electrons of 50 GeV" to showers: noise and conditions by the card of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.card import Card, read_card
from catalog.errors import BadFile, CheckFailed, UsageError
from catalog.generate import BATCH, make_inputs, shower_output, showers_gev
from catalog.index.query import parse_particle, particle_name
from registry_server.engine import Engine, Model
from registry_server.errors import OutsideDomain, RunFailed, TooLarge, quoted
from registry_server.tensors import Limits

_KEYS = ("particle", "energy_gev", "theta_rad", "n", "seed", "outside", "binary")
_EXAMPLE = '{"particle": "e-", "energy_gev": 50, "n": 100, "seed": 1}'
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """Showers to generate. `energy_gev` and `theta_rad` have one entry per shower.

    flag : outside the domain of the model, remark on it rather than refuse
    """

    pdg: int
    energy_gev: Numbers
    theta_rad: Numbers
    seed: int
    flag: bool
    binary: bool


def read_order(document: dict[str, Any], limits: Limits) -> Order:
    """Read the body of a request.

    Raises
    ------
    UsageError
    """
    for key in document:
        if key not in _KEYS:
            raise UsageError(f"unknown key {quoted(key)}", f"known keys: {', '.join(_KEYS)}")
    particle = document.get("particle")
    if not isinstance(particle, str | int) or isinstance(particle, bool):
        raise UsageError("'particle' must be a name such as \"e-\" or a PDG id", _EXAMPLE)
    outside = document.get("outside", "refuse")
    if outside not in ("refuse", "flag"):
        raise UsageError('\'outside\' must be "refuse" or "flag"')
    binary = document.get("binary", False)
    if not isinstance(binary, bool):
        raise UsageError("'binary' must be true or false")
    energies = document.get("energy_gev")
    many = len(energies) if isinstance(energies, list) else 1
    n = _whole(document, "n", many, 1, limits.rows)
    energy = _numbers(document, "energy_gev", n)
    if not (energy > 0).all():
        raise UsageError("'energy_gev' must be above 0")
    theta = _numbers({"theta_rad": 0.0, **document}, "theta_rad", n)
    seed = _whole(document, "seed", 0, 0, 2**63 - 1)
    return Order(parse_particle(str(particle)[:32]), energy, theta, seed, outside == "flag", binary)


async def generated(
    engine: Engine, name: str, version: str | None, order: Order
) -> tuple[Model, NDArray[np.float32], str]:
    """The model that was asked, (n, layers, slow, fast) visible energies in GeV, remarks.

    Raises
    ------
    OutsideDomain
        The model was not made for such showers, and the order does not say to flag them.
    UsageError, RunFailed, and those of `Engine.infer`
    """
    async with engine.held(name, version) as lane:
        model = lane.model
        card = await engine.in_thread(_card, model.folder, model.ref)
        wanted = shower_output(card).name
        remarks = "; ".join(outside(card, order))
        if remarks and not order.flag:
            raise OutsideDomain(f"{model.ref}: {remarks}", 'or take it as it is: "outside": "flag"')
        rows = (order.energy_gev, order.pdg, order.seed, order.theta_rad)
        feed = await engine.in_thread(make_inputs, card, *rows)
        parts = [
            (await lane.submit({key: it[i : i + BATCH] for key, it in feed.items()}, [wanted]))
            for i in range(0, len(order.energy_gev), BATCH)
        ]
    try:
        showers = await engine.in_thread(showers_gev, card, [part[wanted] for part in parts])
    except BadFile as exc:
        raise RunFailed(f"{model.ref} gives NaN or infinity for these particles") from exc
    return model, showers, remarks


def outside(card: Card, order: Order) -> Iterator[str]:
    """What of an order is outside the domain of a model, one sentence each."""
    domain = card.domain
    if domain.particles and not {order.pdg, -order.pdg} & set(domain.particles):
        made = ", ".join(map(particle_name, domain.particles))
        yield f"made for {made}, not for {particle_name(order.pdg)}"
    for values, limits, what in (
        (order.energy_gev, domain.energy_gev, "GeV"),
        (order.theta_rad, domain.theta_rad or (0.0, 0.0), "rad to the axis of the mesh"),
    ):
        if limits is None:
            continue
        low, high = limits
        wrong = values[(values < low * (1 - 1e-9)) | (values > high * (1 + 1e-9))]
        if len(wrong):
            asked = dict.fromkeys((f"{wrong.min():g}", f"{wrong.max():g}"))
            yield f"made for {low:g} to {high:g} {what}, asked for {' to '.join(asked)}"


@lru_cache(maxsize=256)
def _card(folder: Path, ref: str) -> Card:
    try:
        return read_card(folder)
    except CheckFailed as exc:
        raise UsageError(f"{ref} has no card that says what its inputs mean", "use /infer") from exc


def _numbers(document: dict[str, Any], key: str, n: int) -> Numbers:
    value = document.get(key)
    values: list[Any] = value if isinstance(value, list) else [value]
    if not all(type(it) in (int, float) and abs(it) < 1e30 for it in values):
        raise UsageError(f"{key!r} must be a number, or a list of them", _EXAMPLE)
    if len(values) not in (1, n):
        raise UsageError(f"{key!r} has {len(values)} numbers for {n} showers")
    return np.broadcast_to(np.array(values, np.float64), (n,))


def _whole(document: dict[str, Any], key: str, default: int, low: int, high: int) -> int:
    value = document.get(key, default)
    if type(value) is not int or value < low:
        raise UsageError(f"{key!r} must be a whole number of at least {low}", _EXAMPLE)
    if value > high:
        raise TooLarge(f"{key!r} is above the limit of {high}", "send several requests")
    return value
