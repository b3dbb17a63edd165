"""Ask a generator for showers at given conditions, through ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.card import Card
from catalog.domain import TensorSpec
from catalog.domain.geometry import CONDITIONS, GEOMETRY, Geometry, conditions, geometry_of
from catalog.errors import BadFile, MissingExtra, UsageError
from catalog.text import first_line

BATCH = 64  # showers of one run
_MAX_AXIS = 4096  # rows one tensor may ask for beyond the batch


def open_session(model: Path) -> Any:
    """Open an ONNX Runtime session on the CPU.

    Raises
    ------
    MissingExtra, BadFile
    """
    try:
        import onnxruntime as ort
    except ImportError as exc:
        raise MissingExtra("cpu", "running a model") from exc
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # Threads that spin while they wait took 1.6 times the processor time of those that sleep.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime raises a dozen unrelated types
        raise BadFile(f"{model}: ONNX Runtime cannot load it: {exc}") from exc


def make_inputs(
    card: Card,
    incident_gev: NDArray[np.float64],
    pdg: int,
    seed: int,
    theta_rad: NDArray[np.float64] | None = None,
    geometry: Geometry | None = None,
) -> dict[str, NDArray[Any]]:
    """Noise and conditions for a generator, as its card describes them.

    Noise is drawn per input in card order from `numpy.random.default_rng(seed)`, so the same
    seed gives the same showers anywhere. Without `theta_rad` the particles come along the axis;
    without `geometry` a model that is conditioned on it is asked for its own detector.
    """
    rng = np.random.default_rng(seed)
    n = len(incident_gev)
    theta = np.zeros(n) if theta_rad is None else theta_rad
    feed: dict[str, NDArray[Any]] = {}
    for spec in card.inputs:
        if spec.role == "noise":
            size = (n, *spec.shape[1:])
            noise = rng.random(size) if spec.distribution == "uniform" else rng.normal(size=size)
            feed[spec.name] = noise.astype(spec.dtype)
        elif spec.role == "condition":
            where = geometry or _own_geometry(card, spec)
            feed[spec.name] = _conditions(spec, incident_gev, theta, pdg, where)
        else:
            raise UsageError(f"{card.name}: input {spec.name!r} is {spec.role}, not a generator's")
    return feed


def generate(
    session: Any,
    card: Card,
    incident_gev: NDArray[np.float64],
    pdg: int,
    seed: int = 0,
    theta_rad: NDArray[np.float64] | None = None,
    geometry: Geometry | None = None,
) -> NDArray[np.float32]:
    """Generate one shower per incident energy.

    Parameters
    ----------
    incident_gev : (N,), GeV
    theta_rad : (N,), 0 (the default) along the axis of the mesh; geometry : default its own

    Returns
    -------
    (N, layers, slow, fast), GeV visible, on the shape of `card.domain`

    Raises
    ------
    BadFile
        ONNX Runtime refuses the inputs, or the showers are not finite or not one each.
    """
    feed = make_inputs(card, incident_gev, pdg, seed, theta_rad, geometry)
    wanted = shower_output(card)
    parts = []
    for start in range(0, len(incident_gev), BATCH):
        rows = {name: value[start : start + BATCH] for name, value in feed.items()}
        parts.append(_run(session, card, wanted, rows))
    return showers_gev(card, parts)


def shower_output(card: Card) -> TensorSpec:
    """The output of a generator that holds its showers.

    Raises
    ------
    UsageError
    """
    wanted = next((spec for spec in card.outputs if spec.role == "showers"), None)
    if wanted is None:
        raise UsageError(f"{card.name} generates no showers: its task is {card.task}")
    return wanted


def showers_gev(card: Card, parts: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """What the model gave for batches of showers, as one array in GeV.

    Raises
    ------
    BadFile
        NaN or infinity.
    UsageError
        The card's unit is no energy.
    """
    wanted = shower_output(card)
    showers = np.concatenate(parts).astype(np.float32)
    if not np.isfinite(showers).all():
        raise BadFile(f"{card.name}: the model gives NaN or infinity at these energies")
    factor = {"GeV": 1.0, "MeV": 1e-3, "keV": 1e-6}.get(wanted.unit)
    if factor is None:
        raise UsageError(f"{card.name}: showers in {wanted.unit!r}; expected GeV, MeV or keV")
    return showers * np.float32(factor)


def _run(
    session: Any, card: Card, wanted: TensorSpec, rows: dict[str, NDArray[Any]]
) -> NDArray[Any]:
    """The showers of one batch."""
    try:
        showers: NDArray[Any] = session.run([wanted.name], rows)[0]
    except Exception as exc:  # onnxruntime raises a dozen unrelated types
        why = first_line(exc)
        raise BadFile(f"{card.name}: the model does not run on its conditions: {why}") from exc
    asked = len(next(iter(rows.values()), ()))
    if showers.shape[:1] != (asked,):
        raise BadFile(
            f"{card.name}: asked for {asked} showers, the model gives an array of {showers.shape}"
        )
    return showers


def _conditions(
    spec: TensorSpec,
    incident_gev: NDArray[np.float64],
    theta_rad: NDArray[np.float64],
    pdg: int,
    geometry: Geometry | None,
) -> NDArray[np.float32]:
    hint = f"known conditions: {', '.join(CONDITIONS)}"
    if not spec.components:
        raise UsageError(f"input {spec.name!r}: cannot fill a condition without components", hint)
    try:
        return conditions(spec.components, incident_gev, theta_rad, pdg, geometry)
    except UsageError as exc:
        raise UsageError(f"input {spec.name!r}: {exc.message}", exc.hint) from exc


def _own_geometry(card: Card, spec: TensorSpec) -> Geometry | None:
    """The geometry of the model's own detector, if this input asks for any."""
    return geometry_of(card.domain.detector) if set(spec.components) & set(GEOMETRY) else None
