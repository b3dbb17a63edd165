"""Run one benchmark by name and keep its figures with the date, machine, commit and seed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from catalog.errors import NotFound

_FOLDER = Path(__file__).parent
NAMES = (
    "startup", "adapt", "simulator", "physics", "scores", "transfer", "stores", "registry",
    "serving", "timemodel",
)  # fmt: skip


def run_benchmark(name: str, quick: bool) -> dict[str, Any]:
    """Run `benchmarks/NAME.py`; the result of a full run is kept in `benchmarks/results/`."""
    if name not in NAMES:
        raise NotFound(f"no benchmark {name!r}", f"one of: {', '.join(NAMES)}")
    module = import_module(f"benchmarks.{name}")
    result = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_cpu()}, Python "
        f"{platform.python_version()}",
        "commit": _commit(),
        "seed": module.SEED,
        "command": f"catalog bench {name}",
        "figures": module.measure(quick),
    }
    if not quick:
        path = _FOLDER / "results" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _commit() -> str:
    git = ["git", "-C", str(_FOLDER), "describe", "--always", "--dirty"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"
