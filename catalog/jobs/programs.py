"""Ask a scheduler's own programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from catalog.errors import LaunchError

_PATIENCE = 60.0  # seconds for one answer


def ask(program: str, *words: str, cwd: Path | None = None) -> str:
    """Standard output of a program that answers at once.

    Raises
    ------
    LaunchError
        It is not installed, does not answer, or refuses.
    """
    if shutil.which(program) is None:
        raise LaunchError(f"no {program} on this machine", "run this where it is installed")
    try:
        done = subprocess.run(
            [program, *words], cwd=cwd, capture_output=True, text=True, timeout=_PATIENCE,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise LaunchError(f"{program} did not answer in {_PATIENCE:.0f} s") from exc
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise LaunchError(f"{program}: {said[-1][:300] if said else f'exit {done.returncode}'}")
    return done.stdout
