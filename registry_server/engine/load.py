"""From a folder to a model that is warm, and known to be batched or not."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import BadFile
from catalog.testvectors import INPUTS_FILE, MODEL_FILE, read_npz
from registry_server.engine.model import Model
from registry_server.engine.session import held_bytes, open_session, runtime
from registry_server.engine.source import Found, Servable
from registry_server.errors import RunFailed
from registry_server.tensors import DTYPES, Array, Limits, Tensor, describe

_BATCH = 64  # rows at most in one run for several requests
_PARTS = (1, 2, 3, 4, 5, 7, 10, 32)  # add up to _BATCH; every remainder of 4 and both of 32 and 1
_QUICK = 1e-3  # seconds a row may take on one core
_PATIENCE = 5e-3  # seconds a row may take for batching to be looked at: 0.5 s of checks
_ABOVE_FILE = 2 << 20  # bytes
# Bytes of a session without weights. Less can be measured: what others free meanwhile is taken off.
_SESSION = 72 << 10

Feed = dict[str, Array]


def file_bytes(folder: Path) -> int:
    """Bytes of the model's own files, weights kept beside it included."""
    from catalog.onnx_file import read_onnx

    path = folder / MODEL_FILE
    beside = read_onnx(path).external if path.stat().st_size else ()
    return sum(file.stat().st_size for file in (path, *(folder / name for name in beside)))


def guessed_bytes(folder: Path) -> int:
    """A guess of what a session will hold; `load` then measures it."""
    return 3 * file_bytes(folder) + _ABOVE_FILE


def load(version: Servable, found: Found, limits: Limits, threads: int) -> Model:
    """Open a version, run it warm and find out whether it can be batched.

    A row that takes longer than 1 ms is worth several cores; a smaller one is slowed down by them.
    Only one load may run at a time: bytes are those that the process gained.

    Raises
    ------
    BadFile, MissingExtra, UsageError
    """
    path = version.folder / MODEL_FILE
    runtime()  # its own 8 MB are no model's
    before = held_bytes()
    model = _opened(path, found, limits, 1)
    rows = _rows(model, version.folder)
    if rows is not None:
        model = _timed(model, rows)
        if model.row_seconds > _QUICK and threads > 1:
            model = replace(model, session=None)  # the one before the next: never both in memory
            model = _timed(_opened(path, found, limits, threads), rows)
    held = max(held_bytes() - before, file_bytes(version.folder) + _SESSION)
    model = replace(model, bytes=held)
    why = _why_unbatched(model, rows)
    if why or rows is None:
        return replace(model, unbatched=why)
    seconds = _seconds(model, rows)
    return replace(model, batch_rows=_BATCH, batch_seconds=seconds, unbatched="")


def _opened(path: Path, found: Found, limits: Limits, threads: int) -> Model:
    session = open_session(path, threads)
    return Model(
        found.name,
        found.version,
        found.digest,
        path.parent,
        tuple(describe(value) for value in session.get_inputs()),
        tuple(describe(value) for value in session.get_outputs()),
        session,
        limits,
    )


def _timed(model: Model, rows: Feed) -> Model:
    try:
        return replace(model, row_seconds=_seconds(model, _part(model, rows, 0, 1)))
    except RunFailed:  # our values, not a caller's: nothing is known of this model's
        return model


def _seconds(model: Model, rows: Feed) -> float:
    """The shortest of a few runs: the first one allocates, another may be disturbed."""
    names = [tensor.name for tensor in model.outputs]
    taken = []
    for _ in range(4):
        start = time.perf_counter()
        model.run(rows, names)
        taken.append(time.perf_counter() - start)
    return min(taken)


def _why_unbatched(model: Model, rows: Feed | None) -> str:
    """Why requests for this model cannot share a run; "" if they can.

    They can if the rows of one run are, bit for bit, those of runs in parts. Matrix kernels often
    sum the last rows of a batch in another order: such a model is run for every request alone.
    """
    tensors = (*model.inputs, *model.outputs)
    if any(not tensor.axes or isinstance(tensor.axes[0], int) for tensor in tensors):
        return "an input or output has no free first axis"
    for tensor in model.inputs:
        if tensor.axes[0] is not None and tensor.axes[0] in tensor.axes[1:]:
            return f"{tensor.name!r} has its first axis twice"
    if rows is None or not model.row_seconds:
        return "it does not run on made-up inputs and has no test vectors"
    if model.row_seconds > _PATIENCE:
        return "a row takes so long that sharing a run saves little"
    names = [tensor.name for tensor in model.outputs]
    try:
        whole = model.run(rows, names)
        start = 0
        for size in _PARTS:
            part = model.run(_part(model, rows, start, size), names)
            for together, alone in zip(whole, part, strict=True):
                if _bits(together[start : start + size]) != _bits(alone):
                    return "rows of a batch are not bit for bit those of single requests"
            start += size
    except RunFailed:
        return "it does not run on a batch"
    return "" if all(len(value) == _BATCH for value in whole) else "it gives fewer rows than it got"


def _rows(model: Model, folder: Path) -> Feed | None:
    """Inputs for `_BATCH` rows (or what the model fixes): its test vectors, varied, or made up."""
    found: Feed = {}
    if (folder / INPUTS_FILE).is_file():
        try:
            found = read_npz(folder / INPUTS_FILE)
        except BadFile:
            found = {}
    rng = np.random.default_rng(0)
    feed = {}
    for tensor in model.inputs:
        size = tuple(axis if isinstance(axis, int) else 1 for axis in tensor.axes)
        if tensor.axes and not isinstance(tensor.axes[0], int):
            size = (_BATCH, *size[1:])
        if np.prod(size, dtype=float) > model.limits.elements:
            return None
        known = found.get(tensor.name)
        feed[tensor.name] = _values(tensor, size, known, rng)
    return feed


def _values(tensor: Tensor, size: tuple[int, ...], known: Any, rng: np.random.Generator) -> Array:
    """Rows like the known ones, each a little different; else normal, 0 or 1, or letters."""
    dtype = DTYPES[tensor.datatype]
    if known is not None and known.dtype == dtype and known.ndim == len(size) and len(known):
        values = np.resize(known, (size[0], *known.shape[1:])) if known.ndim else known
        if dtype.kind == "f":
            values = values * rng.uniform(0.9, 1.1, size=values.shape)
        return np.ascontiguousarray(values.astype(dtype))
    if dtype.kind == "f":
        return rng.normal(size=size).astype(dtype)
    if dtype.kind == "O":
        return np.array(list("abcd"), dtype)[rng.integers(0, 4, size)].reshape(size)
    return rng.integers(0, 2, size).astype(dtype)


def _part(model: Model, rows: Feed, start: int, size: int) -> Feed:
    return {
        tensor.name: rows[tensor.name]
        if not tensor.axes or isinstance(tensor.axes[0], int)
        else rows[tensor.name][start : start + size]
        for tensor in model.inputs
    }


def _bits(value: Array) -> Any:
    return value.tolist() if value.dtype == object else value.tobytes()
