"""How long the command line takes to start, as a ratio to `python -c "import typer"`.

Both sides run alternately in the same minute; the median of each is compared.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

SEED = 0


def measure(quick: bool) -> dict[str, Any]:
    """`help_ratio` and `search_ratio`, and the medians in seconds."""
    rounds = 5 if quick else 31
    python = [sys.executable]
    commands = {
        "typer": [*python, "-c", "import typer"],
        "help": [*python, "-c", "from catalog.cli import main; main()", "--help"],
        "search": [*python, "-c", "from catalog.cli import main; main()", "search", "--json"],
    }
    with tempfile.TemporaryDirectory() as home:
        _fill(home)
        environment = {**os.environ, "CATALOG_HOME": home}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for round_ in range(rounds + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, capture_output=True, env=environment, check=False)
                if round_:  # the first round warms the file cache
                    times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "help_ratio": round(median["help"] / median["typer"], 2),
        "search_ratio": round(median["search"] / median["typer"], 2),
        "help_s": round(median["help"], 3),
        "search_s": round(median["search"], 3),
        "typer_s": round(median["typer"], 3),
        "models_in_index": 1000,
        "rounds": rounds,
    }


def _fill(home: str) -> None:
    """An index of a thousand models, so that search has something to print."""
    from pathlib import Path

    from catalog.index import Row, open_index

    rows = [
        Row("mlflow", f"model-{i:04}", 1, f"sha256:{i:064x}", "shower-generation", "cvae",
            "clic-siw", "ecal", 1.0, 100.0, "Apache-2.0", particles=(22,))
        for i in range(1000)
    ]  # fmt: skip
    with open_index(Path(home)) as index:
        index.put(*rows)
