"""Inference requests and answers: messages to arrays and back. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from catalog.errors import UsageError
from registry_server import protocol
from registry_server.describe import identity
from registry_server.engine import Model
from registry_server.errors import TooLarge
from registry_server.inference_grpc.messages import CLASSES, read
from registry_server.inference_grpc.wire import field, split
from registry_server.rawdata import from_raw, to_raw
from registry_server.tensors import DTYPES, Array, Limits, datatype_of

_RAW_INPUTS, _RAW_OUTPUTS = 7, 6  # raw_input_contents, raw_output_contents
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


def decode(message: bytes, limits: Limits) -> tuple[str, str | None, protocol.Request]:
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
    asked = read("ModelInferRequest", head)
    if raws and len(raws) != len(asked.inputs):
        raise UsageError(
            f"{len(asked.inputs)} inputs, but {len(raws)} raw_input_contents",
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
                "data": (raws[i] if raws else None, it),
            }
            for i, it in enumerate(asked.inputs)
        ],
        "outputs": [{"name": it.name, "parameters": _parameters(it)} for it in asked.outputs],
    }
    return asked.model_name, asked.model_version or None, protocol.read(document, limits, _take)


def encode(
    model: Model,
    request: protocol.Request,
    outputs: Mapping[str, Array],
    said: Mapping[str, Any],
) -> bytes:
    """The answer; tensors are always raw.

    said : parameters of the answer beside the model's identity
    """
    parameters = {key: {"string_param": text} for key, text in identity(model).items()}
    head = CLASSES["ModelInferResponse"](
        model_name=model.name,
        model_version=str(model.version),
        id=request.id or "",
        parameters={**parameters, **said},
        outputs=[
            {"name": name, "datatype": datatype_of(array), "shape": array.shape}
            for name, array in outputs.items()
        ],
    )
    raws = field(_RAW_OUTPUTS, map(to_raw, outputs.values()))
    return b"".join([head.SerializeToString(), *raws])


def _parameters(owner: Any) -> dict[str, Any]:
    found = {}
    for key, value in owner.parameters.items():
        kind = value.WhichOneof("parameter_choice")
        found[key] = getattr(value, kind) if kind else None
    return found


def _take(
    entry: dict[str, Any], datatype: str, shape: tuple[int, ...], count: int, what: str
) -> Array:
    raw, sent = entry["data"]
    if raw is None:
        return _from_contents(sent.contents, datatype, shape, count, what)
    if sent.HasField("contents"):
        raise UsageError(f"{what}: expected either 'contents' or raw_input_contents, got both")
    return from_raw(raw, datatype, shape, count, what)


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
    array: Array = np.array(values)
    dtype = DTYPES[datatype]
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
