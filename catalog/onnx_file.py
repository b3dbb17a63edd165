"""What an ONNX file says of itself: its tensors, and the files that hold its weights."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import BadFile
from catalog.text import first_line

_MAX_ONNX = 2**31  # bytes; protobuf ends there, larger models keep their weights beside
_TYPES = {
    1: "float32", 11: "float64", 10: "float16", 7: "int64", 6: "int32", 9: "bool"
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """One input or output; -1 in `shape` is a free size."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class OnnxFile:
    """A checked ONNX file. `external` are the files of its weights, relative to its folder."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    external: frozenset[str]


def read_onnx(path: Path) -> OnnxFile:
    """Check an ONNX file on disk, with the paths of its external data.

    Raises
    ------
    BadFile
        It is not ONNX, or its weights lie outside its folder.
    """
    import onnx

    if not path.is_file() or path.stat().st_size > _MAX_ONNX:
        raise BadFile(f"not a valid ONNX model: no plain file of at most {_MAX_ONNX:,} bytes")
    try:
        # On the path, not on bytes: only so are external-data paths checked (see the docs).
        onnx.checker.check_model(str(path))
        model = onnx.load(str(path), load_external_data=False)
    except Exception as exc:  # onnx raises protobuf, checker and OS errors
        raise BadFile(f"not a valid ONNX model: {first_line(exc)}") from exc
    return OnnxFile(
        {info.name: tensor_of(info) for info in model.graph.input},
        {info.name: tensor_of(info) for info in model.graph.output},
        frozenset(posixpath.normpath(place) for place in _external(model)),
    )


def tensor_of(info: Any) -> Tensor:
    """What a ValueInfoProto says of one input or output."""
    tensor = info.type.tensor_type
    sizes = (d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
    return Tensor(_TYPES.get(tensor.elem_type, "another type"), tuple(max(n, -1) for n in sizes))


def _external(message: Any) -> Iterator[str]:
    """Where the tensors below a message keep their bytes, if not in the file itself."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in (value,) if hasattr(value, "ListFields") else value:
            if field.message_type.name != "TensorProto":
                yield from _external(item)
            elif item.data_location == item.EXTERNAL:
                yield from (entry.value for entry in item.external_data if entry.key == "location")
