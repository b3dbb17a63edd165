"""What makes a target one that no model can be compared with, whatever its fingerprint says."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from catalog.compat import particle_class
from catalog.domain.mesh import Layer
from catalog.showers import ShowerSet, scale_of

_RESPONSE = (0.1, 3.0)  # visible over expected: leaks and Birks explain less, nothing explains more
_FRACTION = (1e-4, 1.5)  # visible over incident energy where nobody knows the sampling fraction
_UNIT = 1000.0
_NEAR_UNIT = 5.0  # a response within this factor of 1000 or 1/1000 is one of units
# Coarser cells smear all rings of R_M / 2 and all layers of 1 X0 into one another.
_WIDEST_RM, _THICKEST_X0 = 1.5, 3.0
_SEEN_RM = 2.5  # what lies further out is not compared
# Share of showers without any energy. Electrons and photons always leave some; a hadron may pass an
# ECAL, and a muon a coarse stack.
_EMPTY_EM, _EMPTY = 0.02, 0.5
_COPIES = 0.01  # share of showers that are copies of others, from which on it is said


def doubt(target: ShowerSet) -> str | None:
    """Why no model can be compared with these showers; None if nothing speaks against it."""
    return _broken(target) or _empty(target) or _units(target) or _coarse(target)


def notes(target: ShowerSet) -> tuple[str, ...]:
    """What looks wrong with showers that can be compared all the same."""
    empty, copies = _empties(target), _copies(target)
    found = []
    if empty:
        found.append(f"{empty:.1%} of the showers hold no energy, and are compared like all others")
    if copies > _COPIES:
        found.append(
            f"{copies:.0%} of the showers are copies of others: there are fewer than it says"
        )
    return tuple(found)


def _broken(target: ShowerSet) -> str | None:
    """Readers refuse such files; showers that come from elsewhere were never checked."""
    bad = (
        ~np.isfinite(target.visible_gev)
        | ~np.isfinite(target.incident_gev)
        | (target.incident_gev <= 0)
    )
    if bad.any():
        row = int(np.argmax(bad))
        return f"shower {row} holds energies that are no numbers, or came from no energy at all"
    if target.energies.size and float(target.energies.min()) < 0:
        return "there are cells of negative energy: give what was deposited, without a pedestal"
    return None


def _empty(target: ShowerSet) -> str | None:
    share = _empties(target)
    electromagnetic = particle_class(target.pdg) == "electromagnetic"
    if share <= (_EMPTY_EM if electromagnetic else _EMPTY):
        return None
    return (
        f"{share:.0%} of the showers hold no energy: PDG {target.pdg} leaves some in any "
        "calorimeter that it enters; was the file filled, and did the beam hit?"
    )


def _empties(target: ShowerSet) -> float:
    return float(np.mean(target.visible_gev <= 0))


def _copies(target: ShowerSet) -> float:
    """Share of the showers that hold energy and agree with another in both energies."""
    visible = target.visible_gev
    both = np.stack([target.incident_gev, visible])[:, visible > 0]
    different = int(np.unique(both, axis=1).shape[1])
    return float(1 - different / max(both.shape[1], 1))


def energies_doubt(target: ShowerSet, covered: Iterable[tuple[float, float]]) -> str:
    """A question after the units, if the energies would be those of models in other units."""
    low, high = float(target.incident_gev.min()), float(target.incident_gev.max())
    for factor, read in ((_UNIT, "MeV read as GeV"), (1 / _UNIT, "GeV read as MeV")):
        inside = (low / factor < top and high / factor > bottom for bottom, top in covered)
        if any(inside):
            return f"; are the units right? {low:.3g}..{high:.3g} GeV could be {read}"
    return ""


def _units(target: ShowerSet) -> str | None:
    share = float(np.median(target.visible_gev / target.incident_gev))
    slabs, stated = target.detector.slabs(), target.detector.sampling_fraction
    if stated is None and slabs and all(slab.active for slab in slabs):
        stated = 1.0
    low, high = _FRACTION if stated is None else _RESPONSE
    value = share if stated is None else share / stated
    if low <= value <= high:
        return None
    what = "of the incident energy" if stated is None else "of what the sampling fraction gives"
    reason = f"the showers hold {value:.3g} times {what}: no calorimeter does, no model is scaled"
    off = max(value, 1 / max(value, 1e-30)) / _UNIT
    if stated is None or 1 / _NEAR_UNIT < off < _NEAR_UNIT:
        return f"{reason}. Are the units right? Showers and incident energies must share one"
    return f"{reason}; check units and sampling fraction"


def _coarse(target: ShowerSet) -> str | None:
    x0, rm = scale_of(target.detector)
    layers = [layer for layer in target.mesh.layers if layer.z0 < 25 * x0]
    thick = float(np.median([(layer.z1 - layer.z0) / x0 for layer in layers]))
    wide = float(np.median([_cell_mm(layer, _SEEN_RM * rm) / rm for layer in layers]))
    if wide <= _WIDEST_RM and thick <= _THICKEST_X0:
        return None
    return (
        f"cells of {wide:.2g} R_M in layers of {thick:.2g} X0 do not resolve a shower "
        f"(at most {_WIDEST_RM:g} R_M and {_THICKEST_X0:g} X0): models generate in steps of 0.5 "
        "R_M and 1 X0"
    )


def _cell_mm(layer: Layer, radius: float) -> float:
    """Side of a square of the mean area of the cells within a radius."""
    if layer.kind == "cartesian":
        return float(np.sqrt(np.diff(layer.a).mean() * np.diff(layer.b).mean()))
    rings = sum(edge < radius for edge in layer.b[:-1])
    area = np.pi * min(radius, layer.b[-1]) ** 2
    return float(np.sqrt(area / max(rings * (len(layer.a) - 1), 1)))
