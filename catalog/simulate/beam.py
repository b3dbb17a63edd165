"""What hits the calorimeter: particle, energies, angles, impact points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from catalog.errors import UsageError

Array = NDArray[np.float64]
ELECTRONS, PHOTONS, MUONS = (11, -11), (22,), (13, -13)
LOWEST, HIGHEST = 0.05, 10_000.0  # GeV
HADRONS = (211, -211, 321, -321, 130, 310, 2212, -2212, 2112, -2112)


@dataclass(frozen=True)
class Beam:
    """N particles. energy GeV; theta rad, in the x-z plane; impact (N, 2) mm at the front face."""

    pdg: int
    energy: Array
    theta: Array
    impact: Array

    def __post_init__(self) -> None:
        check_particle(self.pdg)
        if not ((self.energy >= LOWEST) & (self.energy <= HIGHEST)).all():
            raise UsageError(
                f"energies must lie in {LOWEST:g}..{HIGHEST:g} GeV: beyond, this parametrisation "
                "was never compared with anything",
                "--energy 1..100",
            )
        if not (np.abs(self.theta) < np.radians(80)).all():
            raise UsageError(
                "angles must be below 1.396 rad (80 degrees): beyond, a flat stack means nothing",
                "--theta 0..0.3, in radians",
            )

    def __len__(self) -> int:
        return len(self.energy)

    def part(self, start: int, stop: int) -> Beam:
        """Particles start .. stop."""
        cut = slice(start, stop)
        return Beam(self.pdg, self.energy[cut], self.theta[cut], self.impact[cut])


def check_particle(pdg: int) -> None:
    """Refuse what has no parametrisation.

    Raises
    ------
    UsageError
        Muons, neutrinos, nuclei and everything else but electrons, photons and common hadrons.
    """
    if pdg in MUONS:
        raise UsageError(
            "muons make no shower: their Landau-distributed track is not parametrised here",
            "use full simulation (Geant4) for muons",
        )
    if pdg not in (*ELECTRONS, *PHOTONS, *HADRONS):
        known = ", ".join(str(p) for p in (*ELECTRONS, *PHOTONS, *HADRONS))
        raise UsageError(f"particle {pdg} has no parametrised shower", f"PDG ids: {known}")


def draw_beam(
    pdg: int,
    n: int,
    energy_gev: tuple[float, float],
    *,
    seed: int = 0,
    theta_rad: tuple[float, float] = (0.0, 0.0),
    spot_mm: tuple[float, float] = (0.0, 0.0),
    spectrum: Literal["log-uniform", "uniform"] = "log-uniform",
) -> Beam:
    """Draw particles; the first m of n are the same for every n >= m.

    Parameters
    ----------
    energy_gev, theta_rad : ranges, drawn uniformly in ln E (or E) and in theta
    spot_mm : full widths (x, y) of the rectangle of impact points, centred on the axis
    """
    low, high = energy_gev
    if not LOWEST <= low <= high <= HIGHEST:
        raise UsageError(
            f"{low:g}..{high:g} is no energy range LOW..HIGH within {LOWEST:g}..{HIGHEST:g} GeV",
            "--energy 1..100",
        )
    if not theta_rad[0] <= theta_rad[1]:
        raise UsageError(f"an angle range is LOW..HIGH, not {theta_rad[0]}..{theta_rad[1]}")
    # One row per particle: drawing more particles never changes the earlier ones.
    u = np.random.default_rng([seed, 1]).random((n, 4))
    if spectrum == "log-uniform":
        energy = np.exp(np.log(low) + u[:, 0] * (np.log(high) - np.log(low)))
    else:
        energy = low + u[:, 0] * (high - low)
    theta = theta_rad[0] + u[:, 1] * (theta_rad[1] - theta_rad[0])
    return Beam(pdg, energy, theta, (u[:, 2:] - 0.5) * np.asarray(spot_mm))
