"""Tensors as JSON: lists of numbers, flat or nested as the shape says."""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import Any

import numpy as np

from catalog.errors import UsageError
from registry_server.tensors import DTYPES, Array

_KINDS: dict[str, tuple[set[type], str]] = {
    "b": ({bool}, "true or false"),
    "i": ({int}, "whole numbers"),
    "u": ({int}, "whole numbers"),
    "f": ({int, float}, "numbers"),
    "O": ({str}, "text"),
}


def from_json(data: Any, datatype: str, shape: tuple[int, ...], what: str) -> Array:
    """Read a tensor from parsed JSON. Nothing is rounded, cut or converted in silence.

    Raises
    ------
    UsageError
    """
    if datatype == "FP16":
        raise UsageError(f"{what}: FP16 has no JSON form", "send it in binary")
    flat = _flat(data, shape, what)
    dtype = DTYPES[datatype]
    allowed, kind = _KINDS[dtype.kind]
    found = set(map(type, flat))
    if not found <= allowed:
        wrong = next(value for value in flat if type(value) not in allowed)
        got = "null" if wrong is None else type(wrong).__name__
        raise UsageError(f"{what}: {datatype} data must be {kind}, got {got}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype.name)
        if min(flat) < limits.min or max(flat) > limits.max:
            raise UsageError(
                f"{what}: {datatype} holds {limits.min} to {limits.max}, 'data' goes beyond"
            )
    elif dtype.kind == "f":
        return _floats(flat, dtype, datatype, what).reshape(shape)
    elif dtype.kind == "O":
        _check_text(flat, what)
    array = np.empty(len(flat), dtype)
    array[:] = flat
    return array.reshape(shape)


def to_json(array: Array, what: str, remedy: str) -> list[Any]:
    """A tensor as a flat list; the numbers read back to the same bits."""
    if array.dtype == DTYPES["FP16"]:
        raise UsageError(f"{what}: FP16 has no JSON form", remedy)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError(f"{what} holds NaN or infinity, which JSON cannot say", remedy)
    values: list[Any] = array.ravel().tolist()
    return values


def _flat(data: Any, shape: tuple[int, ...], what: str) -> list[Any]:
    if not isinstance(data, list):
        raise UsageError(f"{what}: 'data' must be a list")
    if len(shape) > 1 and data and isinstance(data[0], list):
        level: list[Any] = [data]
        for axis, size in enumerate(shape):
            for row in level:
                if not isinstance(row, list) or len(row) != size:
                    got = f"{len(row)} entries" if isinstance(row, list) else "no list"
                    raise UsageError(
                        f"{what}: nested 'data' of shape {list(shape)} must have {size} entries"
                        f" along axis {axis}, got {got}"
                    )
            level = list(chain.from_iterable(level))
        return level
    if len(data) != prod(shape):
        raise UsageError(
            f"{what}: shape {list(shape)} has {prod(shape)} elements, 'data' has {len(data)}",
            "make shape and data agree",
        )
    return data


def _floats(flat: list[Any], dtype: np.dtype[Any], datatype: str, what: str) -> Array:
    try:
        values = np.array(flat, np.float64)
        # JSON's 1e999 reads as infinity; a finite number must stay one.
        fits = bool((np.abs(values) <= np.finfo(dtype).max).all())
    except OverflowError:
        fits = False
    if not fits:
        raise UsageError(f"{what}: 'data' has a number that {datatype} cannot hold")
    return values.astype(dtype)


def _check_text(flat: list[Any], what: str) -> None:
    for i, text in enumerate(flat):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as exc:  # half of a surrogate pair
            raise UsageError(f"{what}: element {i} of 'data' is not Unicode text") from exc
