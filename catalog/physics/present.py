"""A validation as JSON and as text."""

from __future__ import annotations

from dataclasses import asdict
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
        "gates": [{**asdict(gate), "passed": gate.passed} for gate in gates],
        "passed": all(gate.passed for gate in gates),
    }  # fmt: skip


def human(result: Comparison, ref: str, matched: str = "") -> str:
    """How the showers were matched, metrics beside their floor, the gates, the verdict."""
    checks = [
        (
            g.name, f"{g.value:+.3g}", f"{g.limit:.3g}", f"{g.tolerance:g}", g.bin or "all",
            "passed" if g.passed else "FAILED",
        )
        for g in result.gates(ref)
    ]  # fmt: skip
    title = f"{ref} on {result.dataset}: {result.n} showers against {result.n}"
    gates = table(("GATE", "VALUE", "LIMIT", "TOLERANCE", "WORST AT", ""), checks)
    note = "" if result.fraction_known else f"\n\n{_NO_FRACTION}"
    head = f"{title}\n{matched}" if matched else title
    return f"{head}\n\n{metrics_table(result)}\n\n{gates}\n\n{verdict(result, ref)}{note}"


def verdict(result: Comparison, ref: str) -> str:
    """One sentence: passed, or which gates failed."""
    gates = result.gates(ref)
    failed = [gate.name for gate in gates if not gate.passed]
    if not failed:
        return f"passed all {len(gates)} gates"
    return f"FAILED {len(failed)} of {len(gates)} gates: {', '.join(failed)}"


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
