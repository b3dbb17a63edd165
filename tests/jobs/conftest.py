"""A catalog of one model, and the command line as a user has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "sample_models"
DATA = ROOT / "data" / "clic-siw-photon.h5"
SMALL = ("vae-pbwo4", "--data", str(DATA), "--showers", "40", "--steps", "8", "--no-scratch")


class Catalog:
    """`catalog` in processes of its own, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            **os.environ, "CATALOG_HOME": str(home), "CATALOG_CACHE": str(home / "cache"),
            "CATALOG_CONFIG": str(home / "stores.yaml"), "OMP_NUM_THREADS": "1",
        }  # fmt: skip

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "catalog", *words], env=self.environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def launch(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("adapt", *words, "--json"))
        return found

    def status(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("runs", "status", run, "--json"))
        return found

    def wait(self, run: str, *states: str, patience: float = 240.0) -> dict[str, Any]:
        until = time.monotonic() + patience
        while (told := self.status(run))["state"] not in states:
            assert time.monotonic() < until, (told, self("runs", "logs", run))
            time.sleep(0.5)
        return told


def eventually(true: Callable[[], bool], patience: float = 120.0) -> None:
    until = time.monotonic() + patience
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    pytest.importorskip("torch")
    pytest.importorskip("mlflow")
    made = Catalog(tmp_path / "home")
    made("publish", str(ROOT / "versions" / "vae-pbwo4"))
    return made
