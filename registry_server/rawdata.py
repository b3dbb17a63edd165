"""Tensors as raw bytes: little-endian, row-major, no padding; strings with their length before."""

from __future__ import annotations

import struct

import numpy as np

from catalog.errors import UsageError
from registry_server.tensors import DTYPES, Array

_ALIGNMENT = 16  # bytes
_WORTH = 4096  # bytes: below this a copy costs less than a view
_LENGTH = struct.Struct("<I")


def from_raw(
    raw: memoryview, datatype: str, shape: tuple[int, ...], count: int, what: str
) -> Array:
    """Read a tensor; without a copy where the bytes allow it.

    Raises
    ------
    UsageError
        If the bytes are not exactly `count` elements.
    """
    if datatype == "BYTES":
        return _strings(raw, count, what).reshape(shape)
    dtype = DTYPES[datatype]
    expected = count * dtype.itemsize
    if len(raw) != expected:
        raise UsageError(
            f"{what}: shape {list(shape)} of {datatype} is {expected} bytes, got {len(raw)}",
            "make shape, datatype and the bytes sent agree",
        )
    if datatype == "BOOL":
        flags = np.frombuffer(raw, np.uint8)
        if flags.max() > 1:
            raise UsageError(f"{what}: a BOOL is one byte, 0 or 1, got {flags.max()}")
        return flags.view(np.bool_).reshape(shape)
    array = np.frombuffer(raw, dtype)
    # What is before it may have any length. numpy's own arrays begin at a multiple of 16 bytes;
    # elsewhere kernels sum in another order, and the answer is not ONNX Runtime's to the last bit.
    start = array.__array_interface__["data"][0]
    return (array if start % _ALIGNMENT == 0 else array.copy()).reshape(shape)


def to_raw(array: Array) -> bytes | memoryview:
    """The bytes of a tensor; without a copy where it is large and nobody else's."""
    if array.dtype != DTYPES["BYTES"]:
        # A part of a shared run is copied: a slow reader must not keep the others' rows as well.
        own = not isinstance(array.base, np.ndarray) and array.flags.c_contiguous
        return array.data.cast("B") if own and array.nbytes > _WORTH else array.tobytes()
    parts = []
    for text in array.ravel():
        data = str(text).encode("utf-8")
        parts += [_LENGTH.pack(len(data)), data]
    return b"".join(parts)


def _strings(raw: memoryview, count: int, what: str) -> Array:
    if count * _LENGTH.size > len(raw):
        raise UsageError(
            f"{what}: {count} BYTES elements need at least {count * _LENGTH.size} bytes,"
            f" got {len(raw)}",
            "every element is its length (4 bytes) and then its bytes",
        )
    texts = []
    start = 0
    for i in range(count):
        end = start + _LENGTH.size
        length = _LENGTH.unpack_from(raw, start)[0] if end <= len(raw) else 0
        if end + length > len(raw):
            raise UsageError(f"{what}: element {i} of BYTES ends after the {len(raw)} bytes sent")
        try:
            # ONNX strings are text: ONNX Runtime would turn bytes into "b'...'".
            texts.append(str(raw[end : end + length], "utf-8"))
        except UnicodeDecodeError as exc:
            raise UsageError(f"{what}: element {i} of BYTES is not UTF-8 text") from exc
        start = end + length
    if start != len(raw):
        raise UsageError(f"{what}: {count} BYTES elements are {start} bytes, got {len(raw)}")
    array = np.empty(count, DTYPES["BYTES"])
    array[:] = texts
    return array
