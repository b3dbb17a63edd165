"""Prometheus text, with the names and units that Triton gives its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from registry_server.engine import Engine
from registry_server.engine.statistics import Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Rows = Sequence[tuple[str, int, Tally, int]]
_COUNTERS: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
    ("request_success", "Requests answered", lambda it: it.success.count),
    ("count", "Rows answered", lambda it: it.rows),
    ("exec_count", "Runs of the model; requests may share one", lambda it: it.runs),
    ("request_duration_us", "From arrival to answer", lambda it: it.success.ns // 1000),
    ("queue_duration_us", "Waiting for a run", lambda it: it.queue.ns // 1000),
    ("compute_input_duration_us", "Gathering inputs", lambda it: it.compute_input.ns // 1000),
    ("compute_infer_duration_us", "Running the model", lambda it: it.compute_infer.ns // 1000),
    ("compute_output_duration_us", "Handing out rows", lambda it: it.compute_output.ns // 1000),
)


def prometheus(engine: Engine) -> str:
    """Every metric of every version that was ever loaded."""
    return "\n".join(_lines(engine, engine.statistics())) + "\n"


def _lines(engine: Engine, rows: Rows) -> Iterator[str]:
    for name, text, value in _COUNTERS:
        yield from _head(f"nv_inference_{name}", text, "counter")
        for model, version, tally, _ in rows:
            yield f"nv_inference_{name}{{{_labels(model, version)}}} {value(tally)}"
    yield from _head("nv_inference_request_failure", "Requests not answered", "counter")
    for model, version, tally, _ in rows:
        for reason, count in tally.failures.items():
            labels = f'{_labels(model, version)},reason="{reason}"'
            yield f"nv_inference_request_failure{{{labels}}} {count}"
    yield from _head("nv_inference_pending_request_count", "Requests waiting now", "gauge")
    for model, version, _, waiting in rows:
        yield f"nv_inference_pending_request_count{{{_labels(model, version)}}} {waiting}"
    yield from _head("catalog_model_bytes", "Memory that a loaded model holds", "gauge")
    for it in engine.models():
        yield f"catalog_model_bytes{{{_labels(it.name, it.version)}}} {it.bytes}"
    used, limit = engine.memory
    yield from _head("catalog_models_bytes", "Memory that all models hold", "gauge")
    yield f"catalog_models_bytes {used}"
    yield from _head("catalog_models_bytes_limit", "Memory that models may hold", "gauge")
    yield f"catalog_models_bytes_limit {limit}"


def _head(name: str, text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(model: str, version: int) -> str:
    escaped = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'model="{escaped}",version="{version}"'
