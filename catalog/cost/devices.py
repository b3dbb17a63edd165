"""The devices that a Job can run on: `data/devices.yaml`."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import PositiveFloat

from catalog.domain.base import Frozen
from catalog.errors import NotFound
from catalog.strict_yaml import load_yaml


class Device(Frozen):
    """One device: power in W (None: not published), memory in GB, relative speed in its kind."""

    name: str
    kind: Literal["gpu", "tpu", "cpu"]
    watts: PositiveFloat | None
    memory_gb: PositiveFloat
    speed: PositiveFloat
    source: str


@cache
def known_devices() -> dict[str, Device]:
    """All devices by name."""
    text = files("catalog.cost").joinpath("data", "devices.yaml").read_text("utf-8")
    return {name: Device(name=name, **row) for name, row in load_yaml(text).items()}


def load_device(name: str) -> Device:
    """A device by name, whatever its case.

    Raises
    ------
    NotFound
    """
    names = {known.lower(): known for known in known_devices()}
    if name.lower() in names:
        return known_devices()[names[name.lower()]]
    near = get_close_matches(name.lower(), names, 1)
    meant = f"did you mean {names[near[0]]}? " if near else ""
    raise NotFound(
        f"no device {name[:40]!r} is known", f"{meant}known: {', '.join(known_devices())}"
    )
