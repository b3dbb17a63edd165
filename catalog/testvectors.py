"""Test vectors: fixed inputs and the outputs they must give, stored with every version.

A version whose outputs cannot be re-computed within its card's tolerance is not the model that
its author tested (the idea is bioimage.io's).
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.card import CARD_FILE, Card
from catalog.errors import BadFile, CheckFailed, cannot_write
from catalog.generate import make_inputs, open_session

INPUTS_FILE, OUTPUTS_FILE = "test_inputs.npz", "test_outputs.npz"
MODEL_FILE = "model.onnx"
_ROWS = 2  # where the batch is free
_MAX_NPZ = 64_000_000  # bytes after decompression


def write_test_vectors(folder: Path, card: Card, seed: int = 0) -> None:
    """Write inputs drawn from the card's domain, and the outputs of model.onnx for them.

    Raises
    ------
    CheckFailed, BadFile
    """
    if problems := check_sizes(card):
        raise CheckFailed(str(folder / CARD_FILE), problems)
    inputs: dict[str, Any] = _draw_inputs(card, seed)
    outputs: dict[str, Any] = run_vectors(folder, card, inputs)
    try:
        np.savez_compressed(folder / INPUTS_FILE, **inputs)
        np.savez_compressed(folder / OUTPUTS_FILE, **outputs)
    except OSError as exc:
        raise cannot_write(folder, exc) from exc


def check_sizes(card: Card) -> list[str]:
    """Why no test vectors can be drawn for a card: tensors without a size, or far too large."""
    problems, rows = [], _rows(card)
    for spec in (*card.inputs, *card.outputs):
        first, *rest = spec.shape or (1,)
        sizes = [rows if first == -1 else first, *(abs(n) for n in rest)]  # a free axis has 1
        size = math.prod(sizes) * np.dtype(spec.dtype).itemsize
        if size > _MAX_NPZ:
            problems.append(
                f"{spec.name!r} of shape {list(spec.shape)} takes {size:,} bytes for "
                f"{sizes[0]} cases; at most {_MAX_NPZ:,} are allowed"
            )
        if spec.role == "noise" and -1 in rest:
            problems.append(
                f"{spec.name!r} of shape {list(spec.shape)} cannot be drawn: only the first axis "
                "of noise, the batch, may be free"
            )
    return problems


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
    wanted, inputs = read_npz(folder / OUTPUTS_FILE), read_npz(folder / INPUTS_FILE)
    found = run_vectors(folder, card, inputs)
    problems = []
    for name, value in found.items():
        if name not in wanted:
            problems.append(f"{OUTPUTS_FILE}: output {name!r} is missing")
        elif wanted[name].dtype.kind not in "biuf":
            problems.append(f"{OUTPUTS_FILE}: output {name!r} is {wanted[name].dtype}, no numbers")
        elif wanted[name].shape != value.shape:
            problems.append(f"{name}: shape {value.shape}, stored {wanted[name].shape}")
        elif not np.isfinite(value).all():
            problems.append(f"{name}: the model gives NaN or infinity on its test inputs")
        elif not np.allclose(value, wanted[name], card.tolerance.rtol, _atol(card, value)):
            worst = float(np.max(np.abs(value.astype(float) - wanted[name].astype(float))))
            problems.append(f"{name}: differs from the stored output by up to {worst:.3g}")
    return problems or _check_batch(folder, card, inputs, found)


def _check_batch(
    folder: Path, card: Card, inputs: dict[str, NDArray[Any]], found: dict[str, NDArray[Any]]
) -> list[str]:
    """Run one case more, if the card leaves the batch free: graphs claim what they do not keep."""
    n = {value.shape[0] for value in inputs.values() if value.ndim}
    if len(n) != 1 or any(spec.shape[:1] != (-1,) for spec in card.inputs) or n == {0}:
        return []
    (rows,) = n
    more = {name: np.concatenate([value, value[:1]]) for name, value in inputs.items()}
    try:
        again = run_vectors(folder, card, more)
    except BadFile:
        return [
            f"{MODEL_FILE}: runs with {rows} cases but not with {rows + 1}; {CARD_FILE} says any"
        ]
    return [
        f"{name}: {value.shape[0]} cases for {rows + 1} inputs; {CARD_FILE} says as many as asked"
        for name, value in again.items()
        if found[name].shape[:1] == (rows,) and value.shape[:1] != (rows + 1,)
    ]


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read plain arrays; object arrays (pickles) and oversized archives are refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > _MAX_NPZ:
                raise BadFile(f"{path}: more than {_MAX_NPZ} bytes of test vectors")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except BadFile:
        raise
    except Exception as exc:  # numpy, zipfile and zlib raise a dozen unrelated types
        raise BadFile(f"{path}: not a readable .npz of plain arrays: {exc}") from exc
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy gives other members as bytes
            raise BadFile(f"{path}: not a readable .npz of plain arrays: {name!r} is none")
    return arrays


def _atol(card: Card, value: NDArray[Any]) -> float:
    """Absolute tolerance in units of the largest output, so that GeV and MeV judge alike."""
    return card.tolerance.atol * max(float(np.max(np.abs(value.astype(float)), initial=0.0)), 1e-12)


def _draw_inputs(card: Card, seed: int) -> dict[str, NDArray[Any]]:
    """Inputs for some cases: energies across the domain, noise, uniform features."""
    rng, rows = np.random.default_rng(seed), _rows(card)
    low, high = card.domain.energy_gev or (1.0, 100.0)
    energies = np.exp(rng.uniform(np.log(low), np.log(high), rows))
    pdg = card.domain.particles[0] if card.domain.particles else 0
    if card.task == "shower-generation":
        return dict(make_inputs(card, energies, pdg, seed))
    feed = {}
    for spec in card.inputs:
        free = [rows, *(1 for _ in spec.shape[1:])]
        size = [n if n > 0 else free[axis] for axis, n in enumerate(spec.shape)]
        kind = np.dtype(spec.dtype)
        drawn = rng.random(size) if kind.kind == "f" else rng.integers(0, 2, size)
        feed[spec.name] = drawn.astype(kind)
    return feed


def _rows(card: Card) -> int:
    """How many cases a model takes: what its card fixes, else as many as we like."""
    return next((spec.shape[0] for spec in card.inputs if spec.shape and spec.shape[0] > 0), _ROWS)
