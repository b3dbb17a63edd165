"""Inference requests and answers: messages to arrays and back. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from catalog.errors import UsageError
from registry_server import protocol
from registry_server.describe import identity
from registry_server.engine import Found, Model
from registry_server.errors import TooLarge
from registry_server.inference_grpc.messages import CLASSES, read
from registry_server.inference_grpc.wire import Part, field, split
from registry_server.rawdata import from_raw, to_raw
from registry_server.tensors import DTYPES, Array, Limits, datatype_of

_RAW_INPUTS, _RAW_OUTPUTS, _ID = 7, 6, 3  # of a request, and of an answer
_KEPT = 4096  # bytes of a message without its tensors that may be kept
_KEPT_HEADS = 512
_RAW = "send it in raw_input_contents"
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class _Raw(NamedTuple):
    """An input whose values are raw bytes, which are not looked at yet."""

    datatype: str
    shape: tuple[int, ...]
    size: int
    what: str


def decode(message: bytes | bytearray, limits: Limits) -> tuple[str, str | None, protocol.Request]:
    """The model, its version (None: the newest) and the request for it.

    Raises
    ------
    UsageError
        With the words that HTTP has for it.
    """
    head, raws = split(message, _RAW_INPUTS)
    if len(head) > limits.json:
        raise TooLarge(
            f"{len(head)} bytes beside raw_input_contents, above the limit of {limits.json}",
            "send tensors in raw_input_contents",
        )
    # Requests of one client differ in their raw bytes, seldom in the rest.
    read_head = _read_again if raws and len(head) <= _KEPT else _read
    name, version, asked = read_head(head, len(raws), limits)
    if raws:
        inputs = {
            name: from_raw(raw, *described)
            for (name, described), raw in zip(asked.inputs.items(), raws, strict=True)
        }
        asked = protocol.Request(asked.id, inputs, asked.outputs, asked.binary, asked.seconds)
    return name, version, asked


def encode(
    model: Model, request: protocol.Request, outputs: Mapping[str, Array], final: bool
) -> list[Part]:
    """The parts of the answer; tensors are always raw.

    final : whether to say that it is the last one to its request, as Triton does in a stream
    """
    described = tuple((name, datatype_of(it), it.shape) for name, it in outputs.items())
    parts: list[Part] = [_head(model.name, model.version, model.digest, described, final)]
    if request.id:
        parts += field(_ID, [request.id.encode()])
    return parts + field(_RAW_OUTPUTS, map(to_raw, outputs.values()))


@lru_cache(_KEPT_HEADS)
def _head(
    name: str,
    version: int,
    digest: str,
    described: tuple[tuple[str, str, tuple[int, ...]], ...],
    final: bool,
) -> bytes:
    said: dict[str, Any] = {
        key: {"string_param": text} for key, text in identity(Found(name, version, digest)).items()
    }
    if final:
        said["triton_final_response"] = {"bool_param": True}
    head: bytes = CLASSES["ModelInferResponse"](
        model_name=name,
        model_version=str(version),
        parameters=said,
        outputs=[{"name": it[0], "datatype": it[1], "shape": it[2]} for it in described],
    ).SerializeToString()
    return head


def _read(head: bytes, raws: int, limits: Limits) -> tuple[str, str | None, protocol.Request]:
    asked = read("ModelInferRequest", head)
    if raws and raws != len(asked.inputs):
        raise UsageError(
            f"{len(asked.inputs)} inputs, but {raws} raw_input_contents",
            "send one for every input, in the order of the inputs",
        )
    document = {
        "id": asked.id or None,
        "parameters": _parameters(asked),
        "inputs": [
            {
                "name": it.name,
                "datatype": it.datatype,
                "shape": list(it.shape),
                "parameters": _parameters(it),
                "data": it,
            }
            for it in asked.inputs
        ],
        "outputs": [{"name": it.name, "parameters": _parameters(it)} for it in asked.outputs],
    }
    take: Any = _take_raw if raws else _take  # a raw one stands for its array until it is known
    request = protocol.read(document, limits, take)
    return asked.model_name, asked.model_version or None, request


_read_again = lru_cache(_KEPT_HEADS)(_read)


def _parameters(owner: Any) -> dict[str, Any]:
    found = {}
    for key, value in owner.parameters.items():
        kind = value.WhichOneof("parameter_choice")
        found[key] = getattr(value, kind) if kind else None
    return found


def _take(
    entry: dict[str, Any], datatype: str, shape: tuple[int, ...], count: int, what: str
) -> Array:
    return _from_contents(entry["data"].contents, datatype, shape, count, what)


def _take_raw(
    entry: dict[str, Any], datatype: str, shape: tuple[int, ...], count: int, what: str
) -> _Raw:
    if entry["data"].HasField("contents"):
        raise UsageError(f"{what}: expected either 'contents' or raw_input_contents, got both")
    return _Raw(datatype, shape, count, what)


def _from_contents(
    contents: Any, datatype: str, shape: tuple[int, ...], count: int, what: str
) -> Array:
    """Read a tensor sent as numbers. Nothing is rounded or cut in silence."""
    name = _CONTENTS.get(datatype)
    if name is None:
        raise UsageError(f"{what}: {datatype} has no 'contents'", _RAW)
    for other, values in contents.ListFields():
        if other.name != name:
            raise UsageError(
                f"{what}: {datatype} data must be in {name}, got {len(values)} {other.name}"
            )
    values = getattr(contents, name)
    if len(values) != count:
        raise UsageError(
            f"{what}: shape {list(shape)} has {count} elements, {name} has {len(values)}",
            "make shape and data agree",
        )
    if datatype == "BYTES":
        return _texts(values, what).reshape(shape)
    dtype = DTYPES[datatype]
    widest = {"u": np.dtype("u8"), "i": np.dtype("i8")}.get(dtype.kind, dtype)
    array: Array = np.array(values, widest)  # without it, large and small ones become floats
    if dtype.kind in "iu":
        most = np.iinfo(dtype.name)
        if array.min() < most.min or array.max() > most.max:
            raise UsageError(
                f"{what}: {datatype} holds {most.min} to {most.max}, {name} goes beyond"
            )
    return array.astype(dtype).reshape(shape)


def _texts(values: Any, what: str) -> Array:
    array = np.empty(len(values), DTYPES["BYTES"])
    for i, value in enumerate(values):
        try:
            array[i] = value.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise UsageError(f"{what}: element {i} of BYTES is not UTF-8 text") from exc
    return array
