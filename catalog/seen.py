"""Which showers a model has seen: kept with the version, so that nothing is judged on them.

A shower is recognised by its incident energy, to float32: energies drawn from a continuous spectrum
are as good as unique, and they survive cutting, thinning and re-packing a file. Energies on a grid
tell nothing, and then nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.errors import UsageError
from catalog.pull import Pulled
from catalog.showers import Showers
from catalog.testvectors import read_npz

SEEN_FILE = "seen.npz"
Keys = NDArray[np.uint32]
_CHANCE = 0.01  # share of showers that may agree by chance or by being counted in training twice


def keys_of(showers: Showers) -> Keys:
    """One key per shower, in order; none if the energies are on a grid."""
    keys = showers.incident_gev.astype(np.float32).view(np.uint32)
    if 2 * len(np.unique(keys)) < len(keys):
        return keys[:0]
    return keys


def write_seen(folder: Path, *seen: Keys) -> None:
    """Keep the keys of all showers that trained a version or its ancestors."""
    keys: Keys = np.unique(np.concatenate(seen))
    np.savez_compressed(folder / SEEN_FILE, incident_energy_float32_bits=keys)


def read_seen(folder: Path) -> Keys:
    """The keys kept with a version; none if it keeps none."""
    path = folder / SEEN_FILE
    if not path.is_file():
        return np.empty(0, np.uint32)
    arrays = list(read_npz(path).values())
    return arrays[0].astype(np.uint32).ravel() if len(arrays) == 1 else np.empty(0, np.uint32)


def seen_by(folder: Path, showers: Showers) -> NDArray[np.intp]:
    """Positions of the showers that the version of a folder was trained on."""
    found: NDArray[np.intp] = np.flatnonzero(np.isin(keys_of(showers), read_seen(folder)))
    return found if len(found) > _CHANCE * len(showers) else found[:0]


def refuse_seen(
    models: Mapping[str, Pulled], showers: Showers, skipped: int = 0, option: str = ""
) -> None:
    """Refuse to judge a model on showers that trained it.

    Parameters
    ----------
    skipped : how many showers of the file were left out before `showers`
    option : the option with which the user can leave out more

    Raises
    ------
    UsageError
        Names the model, the number of showers, and what to leave out.
    """
    for label, pulled in models.items():
        seen = seen_by(pulled.folder, showers)
        if not len(seen):
            continue
        first = skipped + int(seen[-1]) + 1
        rest = len(showers) - int(seen[-1]) - 1
        raise UsageError(
            f"{len(seen)} of these {len(showers)} showers trained {label}: "
            "they cannot tell how good it is",
            f"leave them out: {option} {first}"
            if rest and option
            else "give showers that it has not seen",
        )
