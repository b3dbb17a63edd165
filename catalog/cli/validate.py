"""catalog validate."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.data import DATA, DETECTOR, PARTICLE, SKIP, load_target
from catalog.physics.validate import Validation, validate
from catalog.pull import pull
from catalog.text import table


def run(
    ref: str = typer.Argument(help="name, name@3 or name@sha256:..."),
    data: Path = DATA,
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    skip: int = SKIP,
    showers: int = typer.Option(None, min=1, help="Use at most this many showers."),
    seed: int = typer.Option(0, help="Seed of the generated showers."),
    as_json: bool = out.JSON,
) -> None:
    """Compare a generator with full simulation it has not seen; exit 1 if a gate fails."""
    target = load_target(data, detector, particle, showers, skip)
    result = validate(pull(ref), target, seed)
    out.emit(as_dict(result), as_json, lambda: human(result))
    if not result.passed:
        raise typer.Exit(1)


def as_dict(result: Validation) -> dict[str, object]:
    """The JSON of a validation."""
    return {
        "ref": result.ref, "n": result.n, "dataset": result.dataset,
        "metrics": result.metrics, "floor": result.floor,
        "gates": [
            {"name": g.name, "passed": g.passed, "value": g.value, "limit": g.limit}
            for g in result.gates
        ],
        "passed": result.passed,
    }  # fmt: skip


def human(result: Validation) -> str:
    """Metrics beside their floor, then the gates."""
    metrics = [(m, f"{v:.4g}", f"{result.floor[m]:.4g}") for m, v in result.metrics.items()]
    checks = [
        (g.name, f"{g.value:+.3g}", f"{g.limit:g}", "passed" if g.passed else "FAILED")
        for g in result.gates
    ]
    title = f"{result.ref} on {result.dataset}: {result.n} showers against {result.n}"
    first = table(("METRIC", "MODEL", "FLOOR"), metrics)
    return f"{title}\n\n{first}\n\n" + table(("GATE", "VALUE", "LIMIT", ""), checks)
