"""Test vectors: fixed inputs and the outputs they must give, stored with every version.

A version whose outputs cannot be re-computed within its card's tolerance is not the model that
its author tested (the idea is bioimage.io's).
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.card import Card
from catalog.errors import BadFile
from catalog.generate import make_inputs, open_session

INPUTS_FILE, OUTPUTS_FILE = "test_inputs.npz", "test_outputs.npz"
MODEL_FILE = "model.onnx"
_ROWS = 2
_MAX_NPZ = 64_000_000  # bytes after decompression


def write_test_vectors(folder: Path, card: Card, seed: int = 0) -> None:
    """Write inputs drawn from the card's domain, and the outputs of model.onnx for them."""
    inputs: dict[str, Any] = _draw_inputs(card, seed)
    outputs: dict[str, Any] = run_vectors(folder, card, inputs)
    np.savez_compressed(folder / INPUTS_FILE, **inputs)
    np.savez_compressed(folder / OUTPUTS_FILE, **outputs)


def run_vectors(
    folder: Path, card: Card, inputs: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Run model.onnx on the given inputs; the outputs that the card names.

    Raises
    ------
    BadFile
        ONNX Runtime refuses the model or the inputs.
    """
    session = open_session(folder / MODEL_FILE)
    names = [spec.name for spec in card.outputs]
    try:
        values = session.run(names, inputs)
    except Exception as exc:  # onnxruntime raises a dozen unrelated types
        raise BadFile(f"{folder / MODEL_FILE}: does not run on its test inputs: {exc}") from exc
    return dict(zip(names, values, strict=True))


def check_test_vectors(folder: Path, card: Card) -> list[str]:
    """Re-compute the stored outputs; one line per problem, none if all agree."""
    wanted = read_npz(folder / OUTPUTS_FILE)
    found = run_vectors(folder, card, read_npz(folder / INPUTS_FILE))
    problems = []
    for name, value in found.items():
        if name not in wanted:
            problems.append(f"{OUTPUTS_FILE}: output {name!r} is missing")
        elif wanted[name].shape != value.shape:
            problems.append(f"{name}: shape {value.shape}, stored {wanted[name].shape}")
        elif not np.isfinite(value).all():
            problems.append(f"{name}: the model gives NaN or infinity on its test inputs")
        elif not np.allclose(value, wanted[name], card.tolerance.rtol, _atol(card, value)):
            worst = float(np.max(np.abs(value - wanted[name])))
            problems.append(f"{name}: differs from the stored output by up to {worst:.3g}")
    return problems


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read plain arrays; object arrays (pickles) and oversized archives are refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > _MAX_NPZ:
                raise BadFile(f"{path}: more than {_MAX_NPZ} bytes of test vectors")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as exc:
        raise BadFile(f"{path}: not a readable .npz of plain arrays: {exc}") from exc


def _atol(card: Card, value: NDArray[Any]) -> float:
    """Absolute tolerance in units of the largest output, so that GeV and MeV judge alike."""
    return card.tolerance.atol * max(float(np.max(np.abs(value), initial=0.0)), 1e-12)


def _draw_inputs(card: Card, seed: int) -> dict[str, NDArray[Any]]:
    """Inputs for `_ROWS` cases: energies across the domain, noise, uniform features."""
    rng = np.random.default_rng(seed)
    low, high = card.domain.energy_gev or (1.0, 100.0)
    energies = np.exp(rng.uniform(np.log(low), np.log(high), _ROWS))
    pdg = card.domain.particles[0] if card.domain.particles else 0
    if card.task == "shower-generation":
        return dict(make_inputs(card, energies, pdg, seed))
    feed = {}
    for spec in card.inputs:
        size = [_ROWS if axis == 0 else max(n, 1) for axis, n in enumerate(spec.shape)]
        kind = np.dtype(spec.dtype)
        drawn = rng.random(size) if kind.kind == "f" else rng.integers(0, 2, size)
        feed[spec.name] = drawn.astype(kind)
    return feed
