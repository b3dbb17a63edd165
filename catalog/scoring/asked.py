"""A target as far as the index can be asked about it: its conditions and fingerprint, no shower."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.errors import CatalogError
from catalog.fingerprint import Fingerprint, fingerprint
from catalog.fingerprint.sums import summary
from catalog.physics.observables import Observables
from catalog.showers import ShowerSet


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of the index, here or at a registry.

    incident_gev : of the particles, (N,)
    theta_rad : their angles, or the least and the largest of them
    fingerprint : None if no energy has a bin; models are then chosen by name
    """

    pdg: int
    digest: str
    incident_gev: NDArray[np.float64]
    theta_rad: NDArray[np.float64]
    fingerprint: Fingerprint | None


def asked_of(target: ShowerSet, seen: Observables | None = None) -> Asked:
    """The question about a target; `seen` are its observables, if somebody has computed them."""
    try:
        # Where nobody states the fraction, observables are of another scale than a fingerprint's.
        stated = target.detector.sampling_fraction is not None
        found = summary(seen) if seen is not None and stated else fingerprint(target)
    except CatalogError:
        found = None
    angles = np.array([target.theta_rad.min(), target.theta_rad.max()])
    taken = found if found is not None and len(found) else None
    return Asked(target.pdg, target.digest, target.incident_gev, angles, taken)
