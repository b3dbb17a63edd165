"""Tensor descriptions: what a model takes, what a request holds, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.errors import UsageError
from registry_server.errors import TooLarge, quoted

Array = NDArray[Any]

# Little-endian by name: that is what the wire has, whatever this machine is.
DTYPES = MappingProxyType(
    {
        "BOOL": np.dtype(np.bool_),
        "INT8": np.dtype("i1"),
        "INT16": np.dtype("<i2"),
        "INT32": np.dtype("<i4"),
        "INT64": np.dtype("<i8"),
        "UINT8": np.dtype("u1"),
        "UINT16": np.dtype("<u2"),
        "UINT32": np.dtype("<u4"),
        "UINT64": np.dtype("<u8"),
        "FP16": np.dtype("<f2"),
        "FP32": np.dtype("<f4"),
        "FP64": np.dtype("<f8"),
        "BYTES": np.dtype(object),
    }
)
_OF_DTYPE = {dtype: name for name, dtype in DTYPES.items()}
_OF_ONNX = MappingProxyType(
    {
        "tensor(bool)": "BOOL",
        "tensor(int8)": "INT8",
        "tensor(int16)": "INT16",
        "tensor(int32)": "INT32",
        "tensor(int64)": "INT64",
        "tensor(uint8)": "UINT8",
        "tensor(uint16)": "UINT16",
        "tensor(uint32)": "UINT32",
        "tensor(uint64)": "UINT64",
        "tensor(float16)": "FP16",
        "tensor(float)": "FP32",
        "tensor(double)": "FP64",
        "tensor(string)": "BYTES",
    }
)


@dataclass(frozen=True, eq=False)
class Limits:
    """What one request, and all waiting requests together, may take. Equal only to itself.

    `rows` bounds the first axis where it is free; `elements` bounds every tensor, in and out.
    JSON has tighter bounds than binary: parsed, it takes up to thirty times its text, and
    while it is parsed no other thread of Python runs.
    """

    body: int = 64 << 20  # bytes
    json: int = 8 << 20  # bytes
    json_lists: int = 1 << 17  # lists and objects
    json_elements: int = 1 << 20
    waiting: int = 512 << 20  # bytes of all bodies held at once
    rows: int = 1024
    elements: int = 1 << 26
    body_seconds: float = 120.0
    queue: int = 1024  # requests that wait for one model
    room_seconds: float = 10.0  # that a request waits for memory


@dataclass(frozen=True)
class Tensor:
    """One input or output of a model. A free axis is its name, or None where it has none."""

    name: str
    datatype: str
    axes: tuple[int | str | None, ...]

    @property
    def shape(self) -> list[int]:
        """The shape with -1 for a free axis, as the protocol writes it."""
        return [axis if isinstance(axis, int) else -1 for axis in self.axes]


def describe(value: Any) -> Tensor:
    """Describe an input or output of an ONNX Runtime session.

    Raises
    ------
    UsageError
        If the protocol has no datatype for it.
    """
    datatype = _OF_ONNX.get(value.type)
    if datatype is None:
        raise UsageError(
            f"{quoted(value.name)} is a {value.type}, which no datatype of the protocol can carry",
            "export the model with plain tensors (for scikit-learn: zipmap=False)",
        )
    axes = tuple(
        axis if isinstance(axis, str) or (isinstance(axis, int) and axis >= 0) else None
        for axis in value.shape
    )
    return Tensor(value.name, datatype, axes)


def datatype_of(array: Array) -> str:
    """The protocol's name for an array's type."""
    return _OF_DTYPE[array.dtype]


def check_inputs(
    inputs: Mapping[str, Array], expected: Sequence[Tensor], limits: Limits
) -> dict[str, int]:
    """Check the tensors of a request against a model's inputs.

    Returns
    -------
    The size of every named free axis.
    """
    sizes: dict[str, int] = {}
    for tensor in expected:
        array = inputs.get(tensor.name)
        if array is None:
            raise _other_names(inputs, expected)
        _check_input(array, tensor, sizes, limits)
    if len(inputs) > len(expected):
        raise _other_names(inputs, expected)
    return sizes


def check_outputs(outputs: Sequence[Tensor], sizes: Mapping[str, int], limits: Limits) -> None:
    """Refuse a run whose answer would be too large, before anything is computed.

    An output with an axis that no input fixes cannot be foreseen and is not checked.
    """
    for tensor in outputs:
        known = [sizes.get(a) if isinstance(a, str) else a for a in tensor.axes]
        if None in known:
            continue
        count = prod(size for size in known if size is not None)
        if count > limits.elements:
            raise TooLarge(
                f"output {quoted(tensor.name)} would have {count} elements,"
                f" above the limit of {limits.elements}",
                "send several requests with fewer rows each",
            )


def _other_names(inputs: Mapping[str, Array], expected: Sequence[Tensor]) -> UsageError:
    names = {tensor.name for tensor in expected}
    wrong = [f"unknown input {quoted(name)}" for name in inputs if name not in names]
    wrong += [f"missing input {quoted(it.name)}" for it in expected if it.name not in inputs]
    takes = ", ".join(f"{quoted(it.name)} {it.datatype} {it.shape}" for it in expected)
    return UsageError(wrong[0], f"this model takes {takes}")


def _check_input(array: Array, tensor: Tensor, sizes: dict[str, int], limits: Limits) -> None:
    got = datatype_of(array)
    if got != tensor.datatype:
        raise UsageError(
            f"input {quoted(tensor.name)}: expected {tensor.datatype}, got {got}",
            f"convert it to {tensor.datatype} before sending",
        )
    if len(array.shape) != len(tensor.axes):
        what = f"send {len(tensor.axes)} axes; -1 is any size"
        raise UsageError(_other_shape(array, tensor), what)
    for i, (axis, size) in enumerate(zip(tensor.axes, array.shape, strict=True)):
        if isinstance(axis, int):
            if size != axis:
                what = f"axis {i} must be {axis}; -1 is any size"
                raise UsageError(_other_shape(array, tensor), what)
            continue
        if i == 0 and size > limits.rows:
            raise TooLarge(
                f"input {quoted(tensor.name)}: {size} rows, above the limit of {limits.rows}",
                f"send several requests of at most {limits.rows} rows",
            )
        # One name is one size: ONNX Runtime does not check this before it computes.
        if axis is not None and sizes.setdefault(axis, size) != size:
            raise UsageError(
                f"input {quoted(tensor.name)}: axis {i} ({quoted(axis)}) is {size},"
                f" but {sizes[axis]} in another input",
                "send the same number of rows in every input",
            )


def _other_shape(array: Array, tensor: Tensor) -> str:
    got = list(array.shape)
    return f"input {quoted(tensor.name)}: expected shape {tensor.shape}, got {got}"
