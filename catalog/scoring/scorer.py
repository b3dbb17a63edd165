"""The fit term: what a version's own scorer graph says of the target's showers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.domain.geometry import GEOMETRY, conditions, geometry_of
from catalog.errors import BadFile
from catalog.generate import open_session
from catalog.pull import Pulled
from catalog.scoring.scores.arrays import Array
from catalog.scoring.scores.critic_fit import critic_fit
from catalog.scoring.scores.likelihood_fit import at_one_energy
from catalog.showers import ShowerSet
from catalog.text import first_line

ASKED = 150  # showers, at most, that a scorer graph sees on either side
LIKELIHOOD, CRITIC = "likelihood.onnx", "critic.onnx"


def graph_of(pulled: Pulled) -> str | None:
    """The scorer graph of a version: of a likelihood, else of a critic, else None."""
    return next((n for n in (LIKELIHOOD, CRITIC) if (pulled.folder / n).is_file()), None)


def scorer_fit(
    pulled: Pulled, target: ShowerSet, made: NDArray[np.float32], gev: Array, theta: Array
) -> float | None:
    """How well the target fits, by the scorer graph; None if the version has none.

    The target's showers are moved to the model's mesh, and to its visible energy unless it is told
    the sampling fraction.

    Parameters
    ----------
    made, gev, theta : the model's own showers (`run_model`) at energies and angles of the target

    Raises
    ------
    BadFile
        ONNX Runtime refuses the graph, or its scores are not finite.
    """
    name = graph_of(pulled)
    shape = pulled.card.domain.shape
    if name is None or shape is None:
        return None
    session, card = open_session(pulled.folder / name), pulled.card
    used, rows = target.take(spread(len(target), ASKED)), spread(len(gev), ASKED)
    own, gev, theta = made[rows], gev[rows], theta[rows]
    fraction = used.sampling_fraction()
    where = geometry_of(used.detector, fraction)
    told = {name for spec in card.inputs for name in spec.components}
    scale = 1.0 if told & set(GEOMETRY) else _own_fraction(pulled, fraction) / fraction
    theirs = (used.on(shape.shape()) * scale).astype(np.float32)
    names = next((spec.components for spec in card.inputs if spec.role == "condition"), ())

    def asked(showers: NDArray[np.float32], energies: Array, angles: Array) -> Array:
        given = conditions(names, energies, angles, used.pdg, where) if names else None
        return _scores(session, pulled.ref, showers, given)

    on_target, on_own = asked(theirs, used.incident_gev, used.theta_rad), asked(own, gev, theta)
    if name == CRITIC:
        return critic_fit(on_target, on_own)
    return _median_fit(*at_one_energy(on_target, on_own, used.incident_gev, gev))


def spread(n: int, most: int) -> NDArray[np.intp]:
    """Positions of at most `most` of n showers, all over them."""
    return np.linspace(0, n - 1, min(most, n)).astype(np.intp)


def _median_fit(on_target: Array, on_own: Array) -> float:
    """`likelihood_fit` by medians: one shower that a model calls impossible decides nothing."""
    middle = float(np.median(on_own))
    spread = float(np.median(np.abs(on_own - middle))) or 1e-9
    return float(np.arcsinh((np.median(on_target) - middle) / spread))


def _own_fraction(pulled: Pulled, otherwise: float) -> float:
    return pulled.card.domain.detector.sampling_fraction or otherwise


def _scores(
    session: Any, ref: str, showers: NDArray[np.float32], given: NDArray[np.float32] | None
) -> Array:
    """One score per shower: (N,). A critic is told nothing but the showers."""
    wanted = [tensor.name for tensor in session.get_inputs()]
    feed = dict(zip(wanted, (showers, given), strict=False))
    try:
        found = np.asarray(session.run(None, feed)[0], np.float64).reshape(len(showers))
    except Exception as exc:  # onnxruntime raises a dozen unrelated types
        raise BadFile(f"{ref}: its scorer does not run: {first_line(exc)}") from exc
    if not np.isfinite(found).all():
        raise BadFile(f"{ref}: its scorer gives values that are not finite")
    return found
