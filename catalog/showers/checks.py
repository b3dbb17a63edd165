"""What no calorimeter can measure: NaN, negative cells, and energies in the wrong unit.

The unit check compares the visible fraction (sum of cells over sum of incident energies) with the
sampling fraction: the stated one, else what the layer stack lets expect (good to 20 %). A stack
that holds the shower shows that fraction, or energies corrected for sampling, which lie near 1
whatever the stack; there a factor of 7 is an error, so that 10 is surely found. Elsewhere only
factors near 1000 are: leaking showers lie at half of the fraction, a hadron that only passes an
ECAL at a tenth, a muon lower still.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.sampling import estimated_fraction
from catalog.errors import BadFile

_MAX_INCIDENT = 1e12  # GeV; the highest cosmic rays have some 1e11
_MAX_VISIBLE = 3.0  # of the incident energy; annihilation and noise at low energy stay below
_HIGH, _LOW, _LOW_EM = 100.0, 0.02, 0.05  # visible fraction over sampling fraction
_OFF = 7.0  # visible fraction over sampling fraction, or under it, where the stack holds showers
_HOLDS_X0, _HOLDS_LAMBDA = 15.0, 3.0  # depth that holds most of a shower
_CORRECTED = (0.3, 1.5)  # visible fraction of energies that are corrected for sampling
_ENOUGH = 10  # showers; fewer may all have missed the detector
_SURELY = 200  # showers; so many do not miss the detector one after another
_ELECTROMAGNETIC = {11, 22}
_FAINT = {12, 13, 14, 16}  # muons and neutrinos leave almost nothing


class Checks:
    """Refuses impossible showers chunk by chunk; the unit check uses all showers so far."""

    def __init__(
        self, path: Path, detector: Detector, pdg: int, fraction: float | None = None
    ) -> None:
        self._path = path
        self._detector = detector
        self._pdg = abs(pdg)
        self._stated = fraction or detector.sampling_fraction
        self._fraction = self._stated or estimated_fraction(detector)
        self._rows, self._visible, self._incident = 0, 0.0, 0.0

    def add(
        self,
        energies: NDArray[np.float32],
        incident_gev: NDArray[np.float64],
        theta_rad: NDArray[np.float64],
    ) -> None:
        """Check the next showers: (n, voxels) GeV, (n,) GeV, (n,) rad.

        Raises
        ------
        BadFile
            Names the file, the field, the first bad shower and what to do.
        """
        with np.errstate(invalid="ignore"):
            sums = energies.sum(1, dtype=np.float64)  # NaN and infinity survive a sum
        self._finite("incident energies", incident_gev)
        self._finite("cell energies", sums)
        self._finite("angles", theta_rad)
        self._positive(incident_gev)
        if energies.min() < 0:
            row = self._rows + int(np.argmax((energies < 0).any(1)))
            raise BadFile(
                f"{self._path}: shower {row} has a negative cell energy",
                "cells must hold deposited energy; subtract no pedestal, or set negative cells "
                "to 0",
            )
        if np.abs(theta_rad).max() > 1.001 * math.pi:
            raise BadFile(
                f"{self._path}: angles reach {np.abs(theta_rad).max():.3g}, beyond pi",
                "angles are radians: convert them from degrees",
            )
        self._rows += len(sums)
        self._visible += float(sums.sum())
        self._incident += float(incident_gev.sum())
        if self._rows >= _SURELY:
            self.finish()  # a file of zeros unpacks to 1000 times its size: stop early
        self._units(float(np.median(incident_gev)))

    def finish(self) -> None:
        """What only the whole file tells: whether any shower left anything."""
        if self._visible == 0:
            raise BadFile(
                f"{self._path}: none of its first {self._rows} showers deposits any energy",
                "the file was never filled, or its cells were cut away by a threshold",
            )

    def _finite(self, name: str, values: NDArray[np.float64]) -> None:
        bad = ~np.isfinite(values)
        if bad.any():
            row = self._rows + int(np.argmax(bad))
            raise BadFile(
                f"{self._path}: {name} hold NaN or infinity (first in shower {row})",
                "leave those showers out and look for what made them",
            )

    def _positive(self, incident_gev: NDArray[np.float64]) -> None:
        bad = incident_gev <= 0
        if bad.any():
            row = self._rows + int(np.argmax(bad))
            raise BadFile(
                f"{self._path}: shower {row} has an incident energy of zero or less",
                "padding at the end? leave those showers out",
            )
        if incident_gev.max() > _MAX_INCIDENT:
            row = self._rows + int(np.argmax(incident_gev > _MAX_INCIDENT))
            raise BadFile(
                f"{self._path}: shower {row} has an incident energy of "
                f"{incident_gev.max():.3g} GeV",
                "no particle has that: is the byte order right, and the unit MeV?",
            )

    def _units(self, incident: float) -> None:
        visible = self._visible / self._incident
        high, low = visible > _MAX_VISIBLE, False
        if self._fraction is not None and self._rows >= _ENOUGH:
            ratio = visible / self._fraction
            corrected = _CORRECTED[0] < visible < _CORRECTED[1]
            least, most = self._range()
            high = high or (ratio > most and not corrected)
            low = 0 < ratio < least and self._pdg not in _FAINT
        if not (high or low):
            return
        fraction = f"{self._fraction:.3g}" if self._fraction else "at most 1"
        expected = fraction if self._stated or not self._fraction else f"about {fraction}"
        which = (
            "the cells seem to be MeV where GeV was taken, or the incident energies GeV where "
            "MeV was taken"
            if high
            else "the cells seem to be GeV where MeV was taken, or the incident energies MeV "
            "where GeV was taken"
        )
        raise BadFile(
            f"{self._path}: showers deposit {visible:.3g} times their incident energy (median "
            f"{incident:.3g} GeV as read), where {self._detector.name} shows {expected}",
            f"check the units: {which}; CaloChallenge files are MeV in both datasets",
        )

    def _range(self) -> tuple[float, float]:
        """Least and most of the sampling fraction that showers of this particle can show."""
        depth, electromagnetic = self._detector.depth_mm, self._pdg in _ELECTROMAGNETIC
        scale = self._detector.x0_mm if electromagnetic else self._detector.lambda_mm
        holds = _HOLDS_X0 if electromagnetic else _HOLDS_LAMBDA
        if depth and scale and depth > holds * scale:
            return 1 / _OFF, _OFF
        return (_LOW_EM if electromagnetic else _LOW), _HIGH


def calibrated(
    detector: Detector, energies: NDArray[np.float32], incident_gev: NDArray[np.float64]
) -> Detector:
    """The detector, with sampling fraction 1 if its cells are already corrected for sampling.

    Published files of one stack come both ways (CaloChallenge 2 and 3 are the Par04 stack divided
    by 0.033), and nothing in them says which. Only a visible fraction near 1 where the detector's
    is less than a third of it is taken as corrected.
    """
    stated = detector.sampling_fraction
    if stated is None:
        return detector
    visible = float(energies.sum(dtype=np.float64) / incident_gev.sum())
    if _CORRECTED[0] < visible < _CORRECTED[1] and visible > 3 * stated:
        return detector.model_copy(update={"sampling_fraction": 1.0})
    return detector
