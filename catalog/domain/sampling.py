"""What part of a shower's energy a layer stack shows, where nobody states it.

Source: Grindhammer and Peters, hep-ex/0001020, section 3: the share of a minimum-ionising particle
times e/mip. Measured with Geant4 on five stacks, the estimate is good to about 20 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catalog.domain.detector import Detector, Slab
from catalog.domain.materials import materials


def estimated_fraction(detector: Detector) -> float | None:
    """Visible over deposited energy from the stack alone; None without a stack."""
    slabs = detector.slabs()
    return mip_share(slabs) * e_over_mip(slabs) if slabs else None


def mip_share(slabs: Sequence[Slab]) -> float:
    """Share of a minimum-ionising particle's loss that lies in active slabs."""
    loss = np.array([slab.mm * materials()[slab.material].mip_mev_cm for slab in slabs])
    return float(loss[[slab.active for slab in slabs]].sum() / loss.sum())


def e_over_mip(slabs: Sequence[Slab]) -> float:
    """1 / (1 + 0.007 (Z_passive - Z_active)), 1 where all is active."""
    passive = [slab for slab in slabs if not slab.active]
    if not passive:
        return 1.0
    return 1 / (1 + 0.007 * (mean_z(passive) - mean_z([slab for slab in slabs if slab.active])))


def mean_z(slabs: Sequence[Slab]) -> float:
    """Mean atomic number by mass."""
    mass = [slab.mm * materials()[slab.material].density for slab in slabs]
    charge = [materials()[slab.material].z for slab in slabs]
    return float(np.average(charge, weights=mass))
