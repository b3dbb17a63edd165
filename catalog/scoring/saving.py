"""How many showers a pretrained model saves: against scratch at its best, not at its usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catalog.errors import UsageError

Censored = Literal["", "at least", "at most"]


@dataclass(frozen=True)
class Saving:
    """Showers that scratch needs to reach the same, less those adapted on.

    `censored` tells where the scratch curve ends before it gets there: the true number is at least,
    or at most, this.
    """

    showers: float
    censored: Censored


@dataclass(frozen=True)
class Savings:
    """What a prediction saves; `least` and `most` are of the worst and the best end of it."""

    middle: Saving
    least: Saving
    most: Saving

    @property
    def low(self) -> float | None:
        """At least so many; None where the scratch curve ends before it tells."""
        return None if self.least.censored == "at most" else self.least.showers

    @property
    def high(self) -> float | None:
        """At most so many; None where the scratch curve ends before it tells."""
        return None if self.most.censored == "at least" else self.most.showers


def saved_showers(scratch: Mapping[int, float], reached: float, showers: int) -> Saving:
    """Where a tuned scratch curve reaches what adapting `showers` showers did.

    The curve is made monotone (more showers never do worse) and read on straight lines in
    ln n and ln w1.

    Parameters
    ----------
    scratch : {n: w1_geomean} of the best scratch that was found at each n

    Raises
    ------
    UsageError
        The curve is empty, or a number is not above 0.
    """
    if not scratch or not all(n > 0 and w1 > 0 for n, w1 in scratch.items()) or not reached > 0:
        raise UsageError(
            f"a scratch curve of {len(scratch)} point(s) beside {reached:.3g} tells no saving",
            "give showers and distances above 0",
        )
    sizes = sorted(scratch)
    curve = np.minimum.accumulate([scratch[n] for n in sizes])
    if reached > curve[0]:
        return Saving(float(sizes[0] - showers), "at most")
    if reached < curve[-1]:
        return Saving(float(sizes[-1] - showers), "at least")
    # The first n that is as good; where the curve is flat, that is its left end.
    after = int(np.argmax(curve <= reached))
    if after == 0:
        return Saving(float(sizes[0] - showers), "")
    share = np.log(curve[after - 1] / reached) / np.log(curve[after - 1] / curve[after])
    ln_n = np.log(sizes[after - 1]) + share * np.log(sizes[after] / sizes[after - 1])
    return Saving(float(np.exp(ln_n) - showers), "")
