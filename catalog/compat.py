"""Can a model be adapted to, or judged on, a target at all? One answer for every verb."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.card import Card
from catalog.domain import Detector
from catalog.errors import NothingFits, UsageError
from catalog.showers import Showers, scale_of

MIN_SHOWERS = 40  # fewer say nothing about a distribution
MIN_LAYERS = 8  # fewer readout layers do not resolve a shower's depth
ANGLE = 0.05  # rad; closer than this is the same angle
_ELECTROMAGNETIC = {11, -11, 22}
_MUONS = {13, -13}
_INSIDE = 1 / 3  # share of the energies that a model must cover
_ROUNDED = 1e-3  # relative; energies on the edge are inside
_SAME = 0.02  # relative; two descriptions of one calorimeter agree to this in X0 and R_M


class Conditions(Protocol):
    """What makes it possible, or not, to adapt a model to showers: nothing of their cells."""

    @property
    def incident_gev(self) -> NDArray[np.float64]:
        """Energy of the incoming particles: (N,), GeV."""
        ...

    @property
    def theta_rad(self) -> NDArray[np.float64]:
        """Their angles to the axis of the mesh: (N,)."""
        ...

    @property
    def pdg(self) -> int:
        """The incoming particle."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the showers."""
        ...


def particle_class(pdg: int) -> str:
    """Showers of one class can be adapted into each other."""
    if pdg in _ELECTROMAGNETIC:
        return "electromagnetic"
    return "muon" if pdg in _MUONS else "hadron"


def same_calorimeter(one: Detector, other: Detector) -> bool:
    """Whether two descriptions are of one calorimeter: by their stacks, whatever their names.

    Its materials, X0 and R_M, and where the active slabs lie, each to 2 %. How the read-out groups
    or cuts them does not matter: showers are compared in X0 and R_M. Only where a stack is missing
    does the name decide.
    """
    if not (one.stack and other.stack):
        return one.name == other.name
    scales = [(one.x0_mm, other.x0_mm), (one.rm_mm, other.rm_mm), (one.depth_mm, other.depth_mm)]
    if set(one.materials) != set(other.materials) or not all(
        a is not None and b is not None and math.isclose(a, b, rel_tol=_SAME) for a, b in scales
    ):
        return False
    here, there = _active_ranges(one), _active_ranges(other)
    return here.shape == there.shape and bool(np.abs(here - there).max() < _SAME * here.max())


def _active_ranges(detector: Detector) -> NDArray[np.float64]:
    """Where each run of active slabs begins and ends: (runs, 2), mm from the front face."""
    z = 0.0
    runs: list[list[float]] = []
    for slab in detector.slabs():
        if slab.active:
            if runs and math.isclose(runs[-1][1], z):
                runs[-1][1] = z + slab.mm
            else:
                runs.append([z, z + slab.mm])
        z += slab.mm
    return np.array(runs)


def check_target(target: Showers) -> None:
    """Refuse showers that no model can be compared with.

    Raises
    ------
    UsageError, NothingFits
    """
    if len(target) < MIN_SHOWERS:
        raise UsageError(
            f"{len(target)} showers are too few to compare with", f"give at least {MIN_SHOWERS}"
        )
    if len(target.mesh.layers) < MIN_LAYERS:
        raise NothingFits(
            f"{target.source} has {len(target.mesh.layers)} readout layers; models generate on a "
            f"mesh in depth, which at least {MIN_LAYERS} layers can resolve",
            "train from scratch on the detector's own cells",
        )
    scale_of(target.detector)
    refuse_copies(target)


def refuse_copies(showers: Showers) -> None:
    """Refuse showers of which most are copies of others; empty ones may be alike.

    Raises
    ------
    UsageError
    """
    found = np.stack([showers.incident_gev, showers.visible_gev])[:, showers.visible_gev > 0]
    different = len(np.unique(found, axis=1).T)
    if 2 * different < found.shape[1]:
        raise UsageError(
            f"{showers.source}: only {different} of its {len(showers)} showers differ from each "
            "other in incident or visible energy",
            "give every shower once: copies look like statistics, and are none",
        )


def outside(covered: tuple[float, float], gev: NDArray[np.float64]) -> str | None:
    """Why energies are not those of a model; None if enough of them are."""
    low, high = covered[0] * (1 - _ROUNDED), covered[1] * (1 + _ROUNDED)
    share = float(np.mean((gev >= low) & (gev <= high)))
    if share >= _INSIDE:
        return None
    return f"covers {covered[0]:g}..{covered[1]:g} GeV only, {share:.0%} of these showers"


def cannot_generate(card: Card, target: Conditions) -> str | None:
    """Why a model's showers cannot stand beside a target's; None if they can."""
    domain = card.domain
    if card.task != "shower-generation":
        return f"its task is {card.task}: it generates no showers"
    if domain.shape is None:
        return "its card gives no mesh in X0 and R_M"
    if not {particle_class(pdg) for pdg in domain.particles} & {particle_class(target.pdg)}:
        return f"made for other particles than PDG {target.pdg}"
    if domain.energy_gev and (why := outside(domain.energy_gev, target.incident_gev)):
        return why
    covered = domain.theta_rad or (0.0, 0.0)
    theta = (float(target.theta_rad.min()), float(target.theta_rad.max()))
    if theta[0] < covered[0] - ANGLE or theta[1] > covered[1] + ANGLE:
        return (
            f"made for showers at {covered[0]:.2g}..{covered[1]:.2g} rad, "
            f"these are at {theta[0]:.2g}..{theta[1]:.2g}"
        )
    return None


def cannot_adapt(card: Card, target: Conditions) -> str | None:
    """Why a model cannot be adapted to a target; None if it can."""
    if card.family is None:
        return "it names no family, so it cannot be trained further"
    if card.training and target.digest and card.training.dataset_digest == target.digest:
        return f"trained on these very showers; see how good it is: catalog validate {card.name}"
    return cannot_generate(card, target)
