"""Commands and code to copy, and the rows of a comparison, from what `describe` gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from catalog.index.query import particle_name
from catalog.report.markup import duration, number

_TRITON = {"float32": "FP32", "float64": "FP64", "float16": "FP16", "int64": "INT64",
           "int32": "INT32", "bool": "BOOL"}  # fmt: skip
Value = dict[str, Any]


def commands(value: Value, ref: str) -> list[tuple[str, str]]:
    """(what for, command line)."""
    if not value["documented"]:
        return [("Give it a card", f"catalog annotate {ref} CARD.yaml")]
    if value["gone"]:
        return []
    found = [("Fetch, verify and print its folder", f"catalog pull {ref}")]
    if value["card"]["task"] == "shower-generation":
        found += [
            ("Compare it with your full simulation", f"catalog validate {ref} --data SHOWERS.h5"),
            ("Adapt it", f"catalog adapt {ref} --data SHOWERS.h5 --out adapted/"),
        ]
    return [*found, ("Serve it", f"catalog serve {ref}")]


def python(value: Value) -> str:
    """Run it in a program of one's own; "" for what has no card."""
    if not value["documented"] or value["gone"]:
        return ""
    return (
        "import onnxruntime\n"
        "from catalog.pull import pull\n\n"
        f"pulled = pull({json.dumps(value['ref'])})\n"
        'session = onnxruntime.InferenceSession(pulled.folder / "model.onnx")\n'
        "print(pulled.card.summary, [it.name for it in session.get_inputs()])"
    )


def triton(value: Value, host: str) -> str:
    """Ask this server for one row through tritonclient; "" for what has no card."""
    if not value["documented"] or value["gone"]:
        return ""
    card = value["card"]
    lines = [
        "import numpy as np", "import tritonclient.http as triton", "",
        f"client = triton.InferenceServerClient({json.dumps(host)})", "inputs = []",
    ]  # fmt: skip
    for spec in card["inputs"]:
        shape = [1 if size < 0 else size for size in spec["shape"]]
        kind, dtype = _TRITON.get(spec["dtype"], "FP32"), spec["dtype"]
        lines += [
            f"inputs.append(triton.InferInput({json.dumps(spec['name'])}, {shape}, {kind!r}))",
            f"inputs[-1].set_data_from_numpy(np.ones({shape}, {dtype!r}))",
        ]
    last = card["outputs"][0]["name"]
    lines += [
        f"answer = client.infer({json.dumps(value['name'])}, inputs, "
        f"model_version={str(value['version'])!r})",
        f"print(answer.as_numpy({json.dumps(last)}).shape)",
    ]
    return "\n".join(lines)


def compared(values: Sequence[Value]) -> list[dict[str, Any]]:
    """Rows of a comparison: what, one text per version, whether they differ."""
    found = []
    for title, of in _ROWS.items():
        texts = [_text(of, value) for value in values]
        if any(texts):
            found.append({"title": title, "texts": texts, "differs": len(set(texts)) > 1})
    names = dict.fromkeys(
        name for value in values for name in _physics(value).get("metrics", {})
    )  # fmt: skip
    for name in names:
        texts = [number(_physics(value).get("metrics", {}).get(name)) for value in values]
        found.append({"title": name, "texts": texts, "differs": len(set(texts)) > 1})
    return found


def _text(of: Callable[[Value], Any], value: Value) -> str:
    try:
        found = of(value)
    except (KeyError, TypeError, IndexError):
        return ""
    return "" if found is None else str(found)


def _physics(value: Value) -> Value:
    results = (value["card"] or {}).get("physics") or [{}]
    found: Value = results[0]
    return found


def _tensors(specs: Sequence[Value]) -> str:
    return "; ".join(f"{it['name']} {it['dtype']}{it['shape']}" for it in specs)


_ROWS: dict[str, Callable[[Value], Any]] = {
    "What it is": lambda v: v["card"]["summary"],
    "Task": lambda v: v["card"]["task"],
    "Family": lambda v: v["card"]["family"],
    "Detector": lambda v: v["card"]["domain"]["detector"]["name"],
    "Technology": lambda v: v["card"]["domain"]["detector"]["technology"],
    "Materials": lambda v: ", ".join(v["materials"]),
    "Particles": lambda v: " ".join(particle_name(p) for p in v["card"]["domain"]["particles"]),
    "Energies": lambda v: "{:.4g} to {:.4g} GeV".format(*v["card"]["domain"]["energy_gev"]),
    "Inputs": lambda v: _tensors(v["card"]["inputs"]),
    "Outputs": lambda v: _tensors(v["card"]["outputs"]),
    "Adapted from": lambda v: v["lineage"]["parent"]["ref"],
    "Trained on": lambda v: v["card"]["training"]["dataset"],
    "Showers": lambda v: f"{v['card']['training']['showers']:,}",
    "Training took": lambda v: duration(v["card"]["training"]["seconds"]),
    "Device": lambda v: v["card"]["training"]["device"],
    "Licence": lambda v: v["card"]["licence"],
    "Stores": lambda v: ", ".join(v["stores"]),
    "Digest": lambda v: v["digest"],
    "Validated against": lambda v: f"{_physics(v)['reference']}: {_physics(v)['dataset']}"
    if "reference" in _physics(v) else f"full simulation: {_physics(v)['dataset']}",
    "Gates": lambda v: "passed" if _physics(v)["passed"] else "not passed",
}  # fmt: skip
