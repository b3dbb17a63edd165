"""Whether showers can be full simulation at all: empty ones and copies make every limit a lie."""

from __future__ import annotations

import numpy as np

from catalog.errors import UsageError
from catalog.physics.observables import Observables

_EMPTY = 0.25  # share of empty showers that a threshold at low energy may explain
_COPIES = 0.05  # share of showers that may have the shape of another, by chance
_STEPS = 10_000  # a shape is told to 1e-4 of the shower's energy


def refuse_unphysical(full: Observables, source: str) -> None:
    """Refuse full simulation that is mostly empty, or that repeats its showers.

    A copy is known by its shape (shares of the energy per X0 and ring), so one that was given
    another energy, or turned about the axis, is found as well.

    Raises
    ------
    UsageError
    """
    filled = full.longitudinal.sum(1) > 0
    empty = len(full) - int(filled.sum())
    if empty > _EMPTY * len(full):
        raise UsageError(
            f"{source}: {empty} of its {len(full)} showers are empty",
            "check how it was written and its threshold, or leave out the energies that its "
            "calorimeter does not see",
        )
    copies = int(filled.sum()) - _shapes(full.select(filled))
    if copies > _COPIES * len(full):
        raise UsageError(
            f"{source}: {copies} of its {len(full)} showers have exactly the shape of another",
            "give every shower once: copies look like statistics, and are none",
        )


def _shapes(filled: Observables) -> int:
    """How many different shapes there are."""
    profiles = (filled.longitudinal, filled.radial)
    shares = np.concatenate([p / p.sum(1, keepdims=True) for p in profiles], axis=1)
    return len(np.unique(np.rint(_STEPS * shares).astype(np.int16), axis=0))
