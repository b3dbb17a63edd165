"""The effective medium of a layer stack, and where its active slabs sample the shower.

Source: Grindhammer and Peters, hep-ex/0001020, section 3 ("sampling calorimeters"). Depth t is in
radiation lengths of the stack as it is really built, not of the average: a shower seen by the
first silicon layer has passed all the tungsten before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from catalog.domain import Detector
from catalog.domain.materials import materials
from catalog.domain.mesh import Mesh
from catalog.domain.sampling import e_over_mip, mean_z, mip_share
from catalog.errors import UsageError

Array = NDArray[np.float64]
_THICKEST_X0 = 0.5  # slices of a shower; thinner ones change no profile by more than 0.1 %


@dataclass(frozen=True)
class Medium:
    """What Grindhammer-Peters needs to know of a calorimeter.

    Parameters
    ----------
    z : mean atomic number by mass
    x0_mm, rm_mm, lambda_mm, ec_mev : of the effective medium
    homogeneous : no passive material between the active slabs
    visible : visible over deposited energy; without a value of the detector's, the share of a
        minimum-ionising particle times e/mip = 1 / (1 + 0.007 (Z_passive - Z_active))
    e_mip : visible share of a shower over that of a minimum-ionising particle
    mip_gev_mm : loss of a minimum-ionising particle, GeV/mm
    """

    z: float
    x0_mm: float
    rm_mm: float
    lambda_mm: float
    ec_mev: float
    homogeneous: bool
    visible: float
    e_mip: float
    mip_gev_mm: float
    stochastic: float
    lateral_scale: float
    axis_jitter_rm: float


def medium_of(detector: Detector) -> Medium:
    """The effective medium.

    Raises
    ------
    UsageError
        The detector has no layer stack, or only gas in it.
    """
    slabs = detector.slabs()
    x0, rm, interaction, ec = detector.x0_mm, detector.rm_mm, detector.lambda_mm, detector.ec_mev
    if x0 is None or rm is None or interaction is None or ec is None:
        raise UsageError(
            f"detector {detector.name!r} has no layer stack, so nothing can be simulated in it",
            "add `stack:` (materials and thicknesses) to its YAML file",
        )
    response = detector.response
    loss = np.array([slab.mm * materials()[slab.material].mip_mev_cm / 10 for slab in slabs])
    share, e_mip = mip_share(slabs), e_over_mip(slabs)
    visible = detector.sampling_fraction or share * e_mip
    # A larger fraction than a minimum-ionising particle's is a calibration, and tells nothing.
    if visible <= share:
        e_mip = visible / share
    return Medium(
        z=mean_z(slabs), x0_mm=x0, rm_mm=rm, lambda_mm=interaction, ec_mev=ec,
        homogeneous=all(slab.active for slab in slabs),
        visible=visible, e_mip=e_mip,
        mip_gev_mm=float(loss.sum()) / sum(slab.mm for slab in slabs) * 1e-3,
        stochastic=response.stochastic, lateral_scale=response.lateral_scale,
        axis_jitter_rm=response.axis_jitter_rm,
    )  # fmt: skip


@dataclass(frozen=True)
class Planes:
    """The slices in which a shower is sampled: pieces of active slabs, each in one mesh layer.

    edges : (P + 1,) depth in X0 of the boundaries between what the planes sample
    z0, z1 : (P,) where each piece lies, mm from the front face
    zone : (P + 1,) the same boundaries in mm
    layer : (P,) index of the mesh layer, -1 outside the mesh
    """

    edges: Array
    zone: Array
    z0: Array
    z1: Array
    layer: NDArray[np.int64]


def planes_of(detector: Detector, mesh: Mesh) -> Planes:
    """Cut the active slabs at the layers of the mesh and at half a radiation length.

    A slab samples the shower half-way to its neighbours on either side; what the front and back
    of the stack hold beyond that belongs to the first and the last slab.
    """
    layer_edges = np.array([mesh.layers[0].z0, *(layer.z1 for layer in mesh.layers)])
    z, t = 0.0, 0.0
    rows: list[tuple[float, float, float, float]] = []  # z0, z1, t0, t1 of each active slab
    for slab in detector.slabs():
        dt = slab.mm / (10 * materials()[slab.material].x0_cm)
        if slab.active:
            rows.append((z, z + slab.mm, t, t + dt))
        z, t = z + slab.mm, t + dt
    slabs = np.array(rows)
    # Half-way between the end of one slab and the start of the next.
    middle = 0.5 * (slabs[:-1, 3] + slabs[1:, 2])
    low = np.concatenate([[_mirrored(slabs[:, 2:])], middle])
    high = np.concatenate([middle, [t]])
    pieces = [_cut(row, lo, hi, layer_edges) for row, lo, hi in zip(slabs, low, high, strict=True)]
    z0, z1, t0 = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
    centre = 0.5 * (z0 + z1)
    layer = np.searchsorted(layer_edges, centre, "right") - 1
    layer[(layer >= len(mesh.layers)) | (layer < 0)] = -1
    zone = np.concatenate([[0.0], 0.5 * (z1[:-1] + z0[1:]), [z]])
    return Planes(np.append(t0, t), zone, z0, z1, layer)


def _mirrored(t: Array) -> float:
    """Where the first slab's share starts: as far before it as its share ends behind it."""
    if len(t) == 1:
        return 0.0
    return max(0.0, float(t[0, 0] - 0.5 * (t[1, 0] - t[0, 1])))


def _cut(row: Array, low: float, high: float, layer_edges: Array) -> tuple[Array, Array, Array]:
    """Pieces of one active slab: z0, z1 and the depth in X0 where what each samples starts."""
    z0, z1 = row[0], row[1]
    inner = layer_edges[(layer_edges > z0 + 1e-9) & (layer_edges < z1 - 1e-9)]
    cuts = np.concatenate([[z0], inner, [z1]])
    per_mm = (row[3] - row[2]) / (z1 - z0)
    out = [z0]
    for a, b in pairwise(cuts):
        n = max(1, int(np.ceil((b - a) * per_mm / _THICKEST_X0)))
        out.extend(np.linspace(a, b, n + 1)[1:])
    z = np.array(out)
    share = (z - z0) / (z1 - z0)
    return z[:-1], z[1:], low + (high - low) * share[:-1]
