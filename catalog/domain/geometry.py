"""A detector in five continuous numbers, and the conditions that a generator is given.

One conditioning for every family: energy, angle, particle and geometry. A network that is told the
geometry can be pretrained on many detectors and asked for one that it has never seen (arXiv
2608.18233 conditions on sampling fraction and layers; GAAM, 2305.11531).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.domain.detector import Detector
from catalog.errors import UsageError


@dataclass(frozen=True)
class Geometry:
    """What of a calorimeter's geometry shapes a shower; a stack is counted whole.

    sampling_fraction : visible over deposited energy
    layers : readout layers
    layer_x0 : depth of one readout layer, in X0 of the effective medium
    cell_rm : side of a cell, in R_M of the effective medium; None if the detector gives no cells
    critical_mev : critical energy of the effective medium (Dovzhenko)
    """

    sampling_fraction: float
    layers: int
    layer_x0: float
    cell_rm: float | None
    critical_mev: float


BEAM = ("energy_gev", "theta_rad", "is_photon")
GEOMETRY = tuple(Geometry.__dataclass_fields__)
CONDITIONS = (*BEAM, *GEOMETRY)


def geometry_of(detector: Detector, sampling_fraction: float | None = None) -> Geometry:
    """The geometry of a detector; `sampling_fraction` stands in where it gives none.

    Raises
    ------
    UsageError
        The detector gives no layer stack, or nobody knows its sampling fraction.
    """
    fraction = detector.sampling_fraction or sampling_fraction
    x0, rm, critical = detector.x0_mm, detector.rm_mm, detector.ec_mev
    if x0 is None or rm is None or critical is None or detector.depth_mm is None:
        raise UsageError(
            f"detector {detector.name!r} has no layer stack, so its geometry is unknown",
            "add `stack:` (materials and thicknesses) to its YAML file",
        )
    if fraction is None:
        raise UsageError(
            f"detector {detector.name!r} has no sampling fraction",
            "add `sampling_fraction:` to its YAML file",
        )
    layers = detector.readout_layers or sum(slab.active for slab in detector.slabs())
    cell = float(np.sqrt(np.prod(detector.cell_mm))) / rm if detector.cell_mm else None
    return Geometry(fraction, layers, detector.depth_mm / x0 / layers, cell, critical)


def conditions(
    names: Sequence[str],
    energy_gev: NDArray[np.float64],
    theta_rad: NDArray[np.float64],
    pdg: int,
    geometry: Geometry | None = None,
) -> NDArray[np.float32]:
    """One column per name of `CONDITIONS`, one row per shower: (N, len(names)).

    Parameters
    ----------
    energy_gev, theta_rad : (N,)
    geometry : may be left out where no name asks for it

    Raises
    ------
    UsageError
        A name is unknown, or the detector does not say it.
    """
    n = len(energy_gev)
    known: dict[str, NDArray[np.float64] | float | None] = {
        "energy_gev": energy_gev,
        "theta_rad": theta_rad,
        "is_photon": float(pdg == 22),
        **(asdict(geometry) if geometry else dict.fromkeys(GEOMETRY)),
    }
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"unknown condition {', '.join(unknown)}", f"known conditions: {', '.join(CONDITIONS)}"
        )
    columns = [known[name] for name in names]
    if absent := [name for name, column in zip(names, columns, strict=True) if column is None]:
        raise UsageError(
            f"the model is conditioned on {', '.join(absent)}, which the detector does not say",
            "add `stack:`, `cell_mm:` and `sampling_fraction:` to the detector's YAML file",
        )
    filled = [np.broadcast_to(np.asarray(column), (n,)) for column in columns]
    return np.stack(filled, axis=1).astype(np.float32)
