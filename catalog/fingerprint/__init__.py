"""Fingerprints: showers in 28 observables, a few kilobytes, mergeable without error."""

from catalog.fingerprint.distances import Nearness, nearness, quantiles, w1_geomean
from catalog.fingerprint.file import FINGERPRINT_FILE, Kept, read_kept, write_kept
from catalog.fingerprint.sums import Fingerprint, fingerprint, merge
from catalog.fingerprint.vector import VECTOR_LENGTH, rank, stack, vector_of

__all__ = [
    "FINGERPRINT_FILE",
    "VECTOR_LENGTH",
    "Fingerprint",
    "Kept",
    "Nearness",
    "fingerprint",
    "merge",
    "nearness",
    "quantiles",
    "rank",
    "read_kept",
    "stack",
    "vector_of",
    "w1_geomean",
    "write_kept",
]
