"""A validation as JSON and as text."""

from __future__ import annotations

from typing import Any

from catalog.physics.validate import Comparison
from catalog.text import table

_NO_FRACTION = (
    "The response is not judged: neither the detector nor a model made for it states a sampling\n"
    "fraction, so the showers were normalised to their own mean."
)


def as_dict(result: Comparison, ref: str) -> dict[str, Any]:
    """The JSON of one model's validation."""
    gates = result.gates(ref)
    return {
        "ref": ref, "n": result.n, "dataset": result.dataset,
        "metrics": result.metrics[ref], "errors": result.errors[ref],
        "floor": result.floor, "floor_errors": result.floor_errors,
        "gates": [
            {"name": g.name, "passed": g.passed, "value": g.value, "limit": g.limit}
            for g in gates
        ],
        "passed": all(gate.passed for gate in gates),
    }  # fmt: skip


def human(result: Comparison, ref: str) -> str:
    """Metrics beside their floor, then the gates."""
    checks = [
        (g.name, f"{g.value:+.3g}", f"{g.limit:g}", "passed" if g.passed else "FAILED")
        for g in result.gates(ref)
    ]
    title = f"{ref} on {result.dataset}: {result.n} showers against {result.n}"
    gates = table(("GATE", "VALUE", "LIMIT", ""), checks)
    note = "" if result.fraction_known else f"\n\n{_NO_FRACTION}"
    return f"{title}\n\n{metrics_table(result)}\n\n{gates}{note}"


def metrics_table(result: Comparison) -> str:
    """One column per model, the floor last; each value with its bootstrap error."""
    head = ("METRIC", *(label.upper() for label in result.metrics), "FLOOR")
    rows = [
        (
            name,
            *(_value(metrics[name], result.errors[label][name])
              for label, metrics in result.metrics.items()),
            _value(floor, result.floor_errors[name]),
        )
        for name, floor in result.floor.items()
    ]  # fmt: skip
    return table(head, rows)


def _value(value: float, error: float) -> str:
    return f"{value:.4g} +- {error:.2g}"
