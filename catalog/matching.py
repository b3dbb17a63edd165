"""Bring two sets of showers to the same energies, so that what is left is physics.

Observables depend on the incident energy, and another simulator's file has its own. In bins of
10 % in energy each side gives the same number of showers; the rest is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.compat import ANGLE, MIN_SHOWERS, same_calorimeter
from catalog.errors import UsageError
from catalog.showers import Showers

_WIDTH = 0.1  # of a bin, in ln E: a depth differs by at most 0.05 X0 from the bin's middle
_CHANCE = 0.01  # share of showers that may be alike beyond what chance explains
_ASIDE = 50  # 0.05 %: more than rounding, less than any resolution
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Matched:
    """`n` showers to judge, and 2 n of the target, in the order of its file.

    halves : positions in `target` of the floor's n showers and of the reference's
    how : the sentence that tells a user what was matched
    """

    showers: Showers
    target: Showers
    halves: tuple[Places, Places]
    how: str


def match_energies(showers: Showers, target: Showers) -> Matched:
    """Give both sets the same energies.

    Raises
    ------
    UsageError
        Another calorimeter, particle or angle; the same showers; or too few at common energies.
    """
    _comparable(showers, target)
    here, there = _bins(showers), _bins(target)
    parts: list[tuple[Places, Places, Places]] = []
    for place in np.intersect1d(here, there):
        found, wanted = np.flatnonzero(here == place), np.flatnonzero(there == place)
        k = min(len(found), len(wanted) // 2)
        parts.append((found[:k], wanted[:k], wanted[k : 2 * k]))
    sample, twin, reference = (
        np.sort(np.concatenate([part[side] for part in parts] or [np.empty(0, np.intp)]))
        for side in range(3)
    )
    if len(sample) < MIN_SHOWERS:
        raise _too_few(len(sample), showers, target)
    chosen = showers.take(sample)
    used = np.sort(np.concatenate([twin, reference]))
    halves = (np.searchsorted(used, twin), np.searchsorted(used, reference))
    how = (
        f"matched by energy: {len(sample)} of its {len(showers)} showers, as many of the data in "
        f"every bin of 10 % from {_range(chosen)}"
    )
    return Matched(chosen, target.take(used), halves, how)


def _comparable(showers: Showers, target: Showers) -> None:
    both = f"{showers.source} and {target.source}"
    if not same_calorimeter(showers.detector, target.detector):
        raise UsageError(
            f"{both} are of different calorimeters ({showers.detector.name}, "
            f"{target.detector.name}): their difference is not the simulator's",
            "give showers of the same one",
        )
    if abs(showers.pdg) != abs(target.pdg):
        raise UsageError(
            f"{both} are of different particles (PDG {showers.pdg}, {target.pdg})",
            "give showers of the same particle",
        )
    angles = np.array([(np.min(s.theta_rad), np.max(s.theta_rad)) for s in (showers, target)])
    if np.abs(angles[0] - angles[1]).max() > ANGLE:
        shown = ", ".join(f"{low:.2g}..{high:.2g}" for low, high in angles)
        raise UsageError(
            f"{both} come at different angles ({shown} rad): only energies can be matched",
            "give showers at the same angles",
        )
    by_chance = len(_keys(showers, _ASIDE) & _keys(target))
    common = len(_keys(showers) & _keys(target)) - by_chance
    if common > _CHANCE * min(len(showers), len(target)) + 5 * math.sqrt(by_chance):
        raise UsageError(
            f"{common} showers are in both {both}: compared with themselves they tell nothing",
            "give showers that another simulator or generator made",
        )


def _keys(showers: Showers, aside: int = 0) -> set[tuple[int, int]]:
    """What tells a shower from another, whatever file it was copied into: its two energies.

    Where many showers have one incident energy, some agree by chance: as many as agree with
    showers whose visible energy is taken a little `aside`, in steps of 1e-5.
    """
    incident, total = (
        np.round(1e5 * np.log(np.maximum(values, 1e-12))).astype(int)
        for values in (showers.incident_gev, showers.visible_gev)
    )
    return set(zip(incident.tolist(), (total + aside).tolist(), strict=True))


def _bins(showers: Showers) -> Places:
    # Half a bin off, so that 1 GeV, as often simulated, is not on an edge.
    places: Places = np.floor(np.log(showers.incident_gev) / _WIDTH + 0.5).astype(np.intp)
    return places


def _range(showers: Showers) -> str:
    low, high = showers.incident_gev.min(), showers.incident_gev.max()
    return f"{low:.3g} to {high:.3g} GeV"


def _too_few(n: int, showers: Showers, target: Showers) -> UsageError:
    overlap = max(showers.incident_gev.min(), target.incident_gev.min()) <= min(
        showers.incident_gev.max(), target.incident_gev.max()
    )
    sides = f"{showers.source} has {_range(showers)}, {target.source} {_range(target)}"
    what = f"only {n} showers have common energies" if overlap else "the energies do not overlap"
    return UsageError(
        f"{what}: {sides}", f"give at least {MIN_SHOWERS} showers, and twice that of data"
    )
