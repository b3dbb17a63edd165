"""What a model is and what happened to it, as the protocol and Triton's extensions write it.

Plain dictionaries, the same over HTTP and gRPC (the keys are those of the protobuf messages).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from registry_server.engine import Found, Model
from registry_server.engine.statistics import BatchTally, Span, Tally
from registry_server.tensors import Tensor

NAME = "hep-model-catalog"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")
PLATFORM = "onnxruntime_onnx"
_SPANS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")


def metadata(model: Model, versions: Iterable[int]) -> dict[str, Any]:
    """Inputs, outputs and versions of a model."""
    return {
        "name": model.name,
        "versions": [str(number) for number in versions],
        "platform": PLATFORM,
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
        "parameters": identity(model),
    }


def identity(model: Model | Found) -> dict[str, str]:
    """Which version an answer is of, whatever alias was asked."""
    return {"version": str(model.version), "digest": model.digest}


def config(model: Model) -> dict[str, Any]:
    """The model as Triton's configuration says it: without the batch axis if every tensor has one.

    `dynamic_batching` is there if requests for this model share runs; if not, a parameter says why.
    """
    tensors = (*model.inputs, *model.outputs)
    batched = all(tensor.axes and not isinstance(tensor.axes[0], int) for tensor in tensors)
    why = {"batching": {"string_value": f"off: {model.unbatched}"}} if model.unbatched else {}
    return {
        "name": model.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": model.limits.rows if batched else 0,
        "input": [_configured(tensor, batched) for tensor in model.inputs],
        "output": [_configured(tensor, batched) for tensor in model.outputs],
        "parameters": {"digest": {"string_value": model.digest}, **why},
        **({"dynamic_batching": {}} if model.batch_rows else {}),
    }


def statistics(
    rows: Sequence[tuple[str, int, Tally, int]], loaded: Iterable[Model]
) -> dict[str, Any]:
    """Triton's `model_stats`; bytes of those that are loaded now."""
    held = {(model.name, model.version): model.bytes for model in loaded}
    return {
        "model_stats": [
            {
                "name": name,
                "version": str(version),
                "last_inference": tally.last_ms,
                "inference_count": tally.rows,
                "execution_count": tally.runs,
                "inference_stats": {key: _span(getattr(tally, key)) for key in _SPANS},
                "batch_stats": [_batch(size, it) for size, it in sorted(tally.batches.items())],
                "memory_usage": _memory(held.get((name, version))),
            }
            for name, version, tally, _ in rows
        ]
    }


def index_entry(found: Found, why_absent: str) -> dict[str, str]:
    """One row of the repository index."""
    return {
        "name": found.name,
        "version": str(found.version),
        "state": "UNAVAILABLE" if why_absent else "READY",
        "reason": why_absent,
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _configured(tensor: Tensor, batched: bool) -> dict[str, Any]:
    kind = "STRING" if tensor.datatype == "BYTES" else tensor.datatype
    dims = tensor.shape[1:] if batched else tensor.shape
    entry: dict[str, Any] = {"name": tensor.name, "data_type": f"TYPE_{kind}", "dims": dims or [1]}
    if not dims:  # Triton has no rank 0
        entry["reshape"] = {"shape": []}
    return entry


def _span(span: Span) -> dict[str, int]:
    return {"count": span.count, "ns": span.ns}


def _batch(size: int, tally: BatchTally) -> dict[str, Any]:
    return {
        "batch_size": size,
        "compute_input": _span(tally.compute_input),
        "compute_infer": _span(tally.compute_infer),
        "compute_output": _span(tally.compute_output),
    }


def _memory(held: int | None) -> list[dict[str, Any]]:
    return [] if held is None else [{"type": "CPU", "id": 0, "byte_size": held}]
