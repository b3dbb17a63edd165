"""A model repository of Triton Inference Server: NAME/config.pbtxt and NAME/1/model.onnx.

`max_batch_size` is 0: shapes are the model's own, with the batch as a free first axis, so that no
batch is refused. Whoever wants Triton's dynamic batching sets it and drops that axis from `dims`.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from catalog.domain import TensorSpec
from catalog.interchange.folder import Version, put
from catalog.onnx_file import read_onnx
from catalog.testvectors import MODEL_FILE

_TYPES = {
    "float32": "TYPE_FP32", "float64": "TYPE_FP64", "float16": "TYPE_FP16",
    "int64": "TYPE_INT64", "int32": "TYPE_INT32", "bool": "TYPE_BOOL",
}  # fmt: skip


def write(version: Version, out: Path) -> None:
    """Write a repository of one model."""
    card = version.card
    place = out / card.name
    entries = {entry.path: entry for entry in version.manifest.entries}
    weights = read_onnx(version.folder / MODEL_FILE).external
    for path in (MODEL_FILE, *sorted(weights)):
        put(version, entries[path], place / "1" / PurePosixPath(path))
    lines = [f"name: {_text(card.name)}", 'platform: "onnxruntime_onnx"', "max_batch_size: 0"]
    lines += [_tensor("input", spec) for spec in card.inputs]
    lines += [_tensor("output", spec) for spec in card.outputs]
    lines.append(_parameter("digest", version.digest))
    (place / "config.pbtxt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _tensor(where: str, spec: TensorSpec) -> str:
    dims = ", ".join(str(n) for n in spec.shape or (1,))
    scalar = " reshape { shape: [ ] }" if not spec.shape else ""  # Triton has no rank 0
    return (
        f"{where} {{ name: {_text(spec.name)} data_type: {_TYPES[spec.dtype]} "
        f"dims: [ {dims} ]{scalar} }}"
    )


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_text(key)} value {{ string_value: {_text(value)} }} }}"


def _text(value: str) -> str:
    """A string of protobuf's text format; every byte beyond printable ASCII is escaped."""
    plain = {ord('"'): '\\"', ord("\\"): "\\\\"}
    parts = [plain.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in value.encode()]
    return '"' + "".join(parts) + '"'
