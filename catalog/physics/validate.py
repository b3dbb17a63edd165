"""Compare a generator with full simulation: metrics, their floor, and gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from catalog.card import Card
from catalog.compat import MIN_SHOWERS
from catalog.domain.geometry import geometry_of
from catalog.errors import UsageError
from catalog.generate import generate, open_session
from catalog.physics.distances import Array, classifier_auc, separation_mean, w1_geomean
from catalog.physics.errors import bootstrap_errors
from catalog.physics.gates import Floor, Gate, floor_of, gates
from catalog.physics.jetnet_distances import fpd, kpd
from catalog.physics.observables import Observables, observe, observe_grid
from catalog.physics.quality import refuse_unphysical
from catalog.physics.statements import RESPONSE_GATE
from catalog.pull import Pulled
from catalog.showers import PHYSICS_SHAPE, Rows, Showers, fraction_of, rebin, scale_of
from catalog.testvectors import MODEL_FILE

REFERENCE = "full simulation"
Halves = tuple[NDArray[np.intp], NDArray[np.intp]]

METRICS: dict[str, Callable[[Array, Array], float]] = {
    "w1_geomean": w1_geomean,
    "separation_mean": separation_mean,
    "fpd": fpd,
    "kpd": kpd,
    "auc": classifier_auc,
}


@dataclass(frozen=True)
class Comparison:
    """Models beside full simulation, `n` showers on each side of every comparison.

    observables : {label: Observables}; the first, "full simulation", is the reference
    metrics : {label: {metric: value}};  floor : {metric: value}
    errors, floor_errors : the same, one standard deviation by bootstrap over showers
    fraction_known : whether the sampling fraction is known; if not, all showers were normalised to
        their own mean, and no model can be asked for their response
    """

    dataset: str
    n: int
    observables: dict[str, Observables]
    metrics: dict[str, dict[str, float]]
    floor: dict[str, float]
    floor_observables: Observables
    fraction_known: bool
    errors: dict[str, dict[str, float]]
    floor_errors: dict[str, float]

    @property
    def w1(self) -> dict[str, float]:
        """w1_geomean of every model."""
        return {label: metrics["w1_geomean"] for label, metrics in self.metrics.items()}

    def gates(self, label: str) -> tuple[Gate, ...]:
        """The physics requirements on one model, each where it is nearest to failing."""
        found = gates(self.observables[label], self.observables[REFERENCE], self._floor)
        return tuple(g for g in found if self.fraction_known or g.name != RESPONSE_GATE)

    @cached_property
    def _floor(self) -> Floor:
        return floor_of(self.floor_observables, self.observables[REFERENCE])


def compare(
    models: Mapping[str, Pulled], target: Showers, seed: int = 0, halves: Halves | None = None
) -> Comparison:
    """Generate at the target's own conditions and compare.

    Half of the target is the reference. The other half's conditions are given to the models, and
    its showers give the floor, so that all comparisons are made at the same n against the same
    reference. Without `halves` (positions of the floor's and of the reference's showers) the
    reference is the second half.

    Raises
    ------
    UsageError
        A model is not a generator, or there are too few showers, empty ones or copies.
    """
    if len(target) < MIN_SHOWERS:
        raise UsageError(
            f"{target.source}: {len(target)} showers are too few to validate with",
            f"give at least {MIN_SHOWERS}",
        )
    target, known = with_fraction(target, models)
    n = len(target) // 2
    first, second = halves or (slice(0, n), slice(n, 2 * n))
    floor, reference = _observe_halves(target, first, second)
    twin = target.take(first)
    observables = {REFERENCE: reference}
    response = None if known else float(floor.column("response").mean())
    for label, pulled in models.items():
        found = sample_model(pulled, twin, twin.incident_gev, seed, response=response)
        observables[label] = found
    return Comparison(
        dataset=target.source,
        n=n,
        observables=observables,
        metrics={label: measure(observables[label], reference) for label in models},
        floor=measure(floor, reference),
        floor_observables=floor,
        fraction_known=known,
        errors={label: spread(observables[label], reference) for label in models},
        floor_errors=spread(floor, reference),
    )


def _observe_halves(target: Showers, *halves: Rows) -> tuple[Observables, Observables]:
    """In one pass over the file; the whole is let go before anything else is computed."""
    full = observe(target)
    refuse_unphysical(full, target.source)
    first, second = (full.select(rows) for rows in halves)
    return first, second


def with_fraction(target: Showers, models: Mapping[str, Pulled]) -> tuple[Showers, bool]:
    """The target with one sampling fraction for all its parts, and whether it is known.

    The detector's own; else that of a model's card for the same detector; else 1 where every slab
    is read out; else the mean of these showers, which makes their response 1 by construction.
    """
    if target.detector.sampling_fraction is not None:
        return target, True
    slabs = target.detector.slabs()
    cards = [pulled.card.domain.detector for pulled in models.values()]
    same = (card.sampling_fraction for card in cards if card.name == target.detector.name)
    whole = 1.0 if slabs and all(slab.active for slab in slabs) else None
    known = next((fraction for fraction in same if fraction is not None), whole)
    fraction = fraction_of(target) if known is None else known
    detector = target.detector.model_copy(update={"sampling_fraction": fraction})
    return target.of(detector), known is not None


def sample_model(
    pulled: Pulled,
    target: Showers,
    incident_gev: Array,
    seed: int = 0,
    theta_rad: Array | None = None,
    response: float | None = None,
) -> Observables:
    """Observables of a model's showers at given energies, in the units of the target.

    With `response` they are normalised to that mean response: where the target's sampling fraction
    is unknown, so is the model's scale in its units.
    Without `theta_rad` the angles of the target are repeated as often as its energies were.
    A model of another detector is asked on its own mesh, in X0 and R_M; its visible energy is
    compared as a share of full response, so the two known sampling fractions are exchanged. One
    that is conditioned on geometry is asked for the target's, and gives its visible energy.
    """
    theta = np.resize(target.theta_rad, len(incident_gev)) if theta_rad is None else theta_rad
    showers = run_model(pulled, target, incident_gev, theta, seed)
    return observe_run(pulled, target, showers, incident_gev, theta, response)


def run_model(
    pulled: Pulled, target: Showers, incident_gev: Array, theta_rad: Array, seed: int = 0
) -> NDArray[np.float32]:
    """A model's showers on its own mesh, asked for as in `sample_model`: (N, layers, slow, fast).

    Raises
    ------
    UsageError, BadFile
    """
    if pulled.card.task != "shower-generation" or pulled.card.domain.shape is None:
        raise UsageError(
            f"{pulled.ref} generates no showers: its task is {pulled.card.task}",
            "find generators: catalog search --task shower-generation",
        )
    session = open_session(pulled.folder / MODEL_FILE)
    where = geometry_of(target.detector, fraction_of(target))
    return generate(session, pulled.card, incident_gev, target.pdg, seed, theta_rad, where)


def observe_run(
    pulled: Pulled,
    target: Showers,
    showers: NDArray[np.float32],
    incident_gev: Array,
    theta_rad: Array,
    response: float | None = None,
) -> Observables:
    """Observables of what `run_model` gave, in the units of the target; see `sample_model`."""
    shape = pulled.card.domain.shape
    if shape is None:
        raise UsageError(f"{pulled.ref}: its card gives no mesh in X0 and R_M")
    x0, rm = scale_of(target.detector)
    expected = fraction_of(target)
    if not _told_fraction(pulled.card):
        expected = pulled.card.domain.detector.sampling_fraction or expected
    flat = showers.reshape(len(showers), -1)
    moved = rebin(flat, shape.shape().mesh(x0, rm), PHYSICS_SHAPE.mesh(x0, rm))
    if response is not None:
        expected = max(float(np.mean(moved.sum(1) / incident_gev)), 1e-12) / response
    return observe_grid(moved.reshape(-1, *PHYSICS_SHAPE.size), incident_gev, expected, theta_rad)


def _told_fraction(card: Card) -> bool:
    return any("sampling_fraction" in spec.components for spec in card.inputs)


def measure(sample: Observables, reference: Observables) -> dict[str, float]:
    """All metrics of one comparison."""
    return {name: metric(sample.values, reference.values) for name, metric in METRICS.items()}


def spread(sample: Observables, reference: Observables) -> dict[str, float]:
    """The bootstrap error of every metric of one comparison."""
    return bootstrap_errors(sample.values, reference.values)
