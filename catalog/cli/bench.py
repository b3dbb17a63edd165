"""catalog bench."""

from __future__ import annotations

from importlib import import_module

import typer

from catalog.cli import out
from catalog.errors import NotFound
from catalog.text import table


def run(
    name: str = typer.Argument(help="startup, ..."),
    quick: bool = typer.Option(False, "--quick", help="Fewer repetitions; not kept."),
    as_json: bool = out.JSON,
) -> None:
    """Run a benchmark and, unless --quick, keep its result in benchmarks/results/."""
    try:
        run_benchmark = import_module("benchmarks.runner").run_benchmark
    except ImportError as exc:
        raise NotFound(
            "benchmarks are part of a source checkout, not of the installed package",
            "git clone the project, make install, and run catalog bench there",
        ) from exc
    result = run_benchmark(name, quick)
    figures = [(key, str(value)) for key, value in result["figures"].items()]
    out.emit(result, as_json, lambda: table(("FIGURE", "VALUE"), figures))
