"""What can be asked of the index. Imports nothing heavy: search must start at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.errors import UsageError

_PDG = {
    "e-": 11, "electron": 11, "e+": -11, "positron": -11, "gamma": 22, "photon": 22,
    "mu-": 13, "mu+": -13, "pi-": -211, "pi+": 211, "pi0": 111, "k-": -321, "k+": 321,
    "proton": 2212, "p": 2212, "neutron": 2112, "n": 2112,
}  # fmt: skip
COUNTED = 300  # matches: to count them costs as much as to show them
_IN_RANGE = "catalog search --help tells what each filter takes"
_BITS = 1 << 63  # of a number, as both databases keep it
DETECTOR_TYPES = ("ecal", "hcal", "tracker", "tpc", "muon", "whole")


@dataclass(frozen=True)
class Query:
    """Filters of a search; None or "" does not filter. Energies in GeV.

    Raises
    ------
    UsageError
        A number that no database holds.
    """

    text: str = ""
    detector: str | None = None  # a type (ecal) or a name (clic-siw)
    material: str | None = None
    particle: int | None = None
    energy_gev: tuple[float, float] | None = None
    task: str | None = None
    family: str | None = None
    licence: str | None = None
    validated: bool = False
    store: str | None = None
    gone: bool = False  # only what was deleted in its store, else only what is there
    limit: int = 100
    skip: int = 0  # rows of the pages before
    detectors: tuple[str, ...] = ()  # any of these names

    def __post_init__(self) -> None:
        for field, value, lowest in (
            ("particle", self.particle or 0, -_BITS), ("limit", self.limit, 0),
            ("skip", self.skip, 0),
        ):  # fmt: skip
            if not lowest <= value < _BITS:
                raise UsageError(f"{field}: no number of 64 bits: {str(value)[:40]}", _IN_RANGE)
        if self.energy_gev and not all(abs(it) < float("inf") for it in self.energy_gev):
            raise UsageError(f"energy_gev: not two energies: {self.energy_gev}", _IN_RANGE)

    @property
    def counted(self) -> int:
        """How many matches are counted; a total above it says that there are more."""
        return max(COUNTED, self.skip + self.limit)


def parse_particle(text: str) -> int:
    """A PDG id from `e-`, `gamma`, `pi+` ... or a number.

    Raises
    ------
    UsageError
    """
    if re.fullmatch(r"-?[0-9]{1,10}", text):
        return int(text)
    try:
        return _PDG[text.lower()]
    except KeyError:
        raise UsageError(
            f"unknown particle {text!r}", f"use a PDG id or one of: {', '.join(_PDG)}"
        ) from None


def particle_name(pdg: int) -> str:
    """The short name of a PDG id, or the id itself."""
    return next((name for name, number in _PDG.items() if number == pdg), str(pdg))


def parse_energy(text: str) -> tuple[float, float]:
    """`50` or `10..100`, in GeV.

    Raises
    ------
    UsageError
    """
    low, _, high = text.partition("..")
    try:
        window = (float(low), float(high or low))
    except ValueError:
        window = (-1.0, -1.0)
    if not 0 < window[0] <= window[1] < float("inf"):
        raise UsageError(
            f"not an energy: {text!r}", "give GeV: --energy 50, or a window --energy 10..100"
        )
    return window
