"""`catalog demo`: the whole story, told with the commands a user would type."""

from __future__ import annotations

import typer

from catalog.errors import MissingExtra

_NEEDED = ("mlflow", "onnxruntime", "torch", "fastapi", "uvicorn", "matplotlib", "tritonclient")


def demo(
    steps: int = typer.Option(None, min=1, help="Training steps; fewer are quicker and worse."),
) -> None:
    """Publish sample models, find them, and adapt the best to a detector none of them knows.

    Everything is computed now, on full-simulation showers shipped with the samples. It uses your
    catalog's own folders (see CATALOG_HOME) and can be run again: versions are never doubled.
    """
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtra("demo", f"the demo (it uses {', '.join(missing)})")
    from sample_models.demo import run

    run(steps)
