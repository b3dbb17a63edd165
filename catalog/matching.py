"""Bring two sets of showers to the same energies, so that what is left is physics.

Observables depend on the incident energy, and another simulator's file has its own. In bins of
10 % in energy each side gives the same number of showers; the rest is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog.compat import ANGLE, MIN_SHOWERS, same_calorimeter
from catalog.errors import UsageError
from catalog.showers import ShowerSet

_WIDTH = 0.1  # of a bin, in ln E: a depth differs by at most 0.05 X0 from the bin's middle
_CHANCE = 0.01  # share of showers that may look alike by chance
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Matched:
    """`n` showers to judge, and 2 n of the target: the floor's, then the reference's.

    how : the sentence that tells a user what was matched
    """

    showers: ShowerSet
    target: ShowerSet
    how: str


def match_energies(showers: ShowerSet, target: ShowerSet) -> Matched:
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
    chosen = _take(showers, sample)
    how = (
        f"matched by energy: {len(sample)} of its {len(showers)} showers, as many of the data in "
        f"every bin of 10 % from {_range(chosen)}"
    )
    return Matched(chosen, _take(target, np.concatenate([twin, reference])), how)


def _comparable(showers: ShowerSet, target: ShowerSet) -> None:
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
    common = len(_keys(showers) & _keys(target))
    if common > _CHANCE * min(len(showers), len(target)):
        raise UsageError(
            f"{common} showers are in both {both}: compared with themselves they tell nothing",
            "give showers that another simulator or generator made",
        )


def _keys(showers: ShowerSet) -> set[tuple[int, int]]:
    """What tells a shower from another, whatever file it was copied into: its two energies."""
    total = np.maximum(showers.energies.sum(1, dtype=np.float64), 1e-12)
    logs = (np.round(1e5 * np.log(values)) for values in (showers.incident_gev, total))
    return set(zip(*(values.astype(int).tolist() for values in logs), strict=True))


def _bins(showers: ShowerSet) -> Places:
    # Half a bin off, so that 1 GeV, as often simulated, is not on an edge.
    places: Places = np.floor(np.log(showers.incident_gev) / _WIDTH + 0.5).astype(np.intp)
    return places


def _take(showers: ShowerSet, rows: Places) -> ShowerSet:
    return replace(
        showers,
        energies=showers.energies[rows],
        incident_gev=showers.incident_gev[rows],
        theta_rad=showers.theta_rad[rows],
    )


def _range(showers: ShowerSet) -> str:
    low, high = showers.incident_gev.min(), showers.incident_gev.max()
    return f"{low:.3g} to {high:.3g} GeV"


def _too_few(n: int, showers: ShowerSet, target: ShowerSet) -> UsageError:
    overlap = max(showers.incident_gev.min(), target.incident_gev.min()) <= min(
        showers.incident_gev.max(), target.incident_gev.max()
    )
    sides = f"{showers.source} has {_range(showers)}, {target.source} {_range(target)}"
    what = f"only {n} showers have common energies" if overlap else "the energies do not overlap"
    return UsageError(
        f"{what}: {sides}", f"give at least {MIN_SHOWERS} showers, and twice that of data"
    )
