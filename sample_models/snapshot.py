"""Snapshots of a run: one safetensors file, replaced atomically; nothing is ever unpickled."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from catalog.errors import BadFile, UsageError, cannot_write

FILE = "snapshot.safetensors"


def save_snapshot(folder: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors and JSON notes; killed at any moment, the old or the new file is there."""
    from safetensors.torch import save

    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".snapshot.")
        with os.fdopen(handle, "wb") as file:
            file.write(save(flat, {"notes": json.dumps(notes)}))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder / FILE)
    except OSError as exc:
        raise cannot_write(folder / FILE, exc) from exc


def load_snapshot(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_snapshot` wrote.

    Raises
    ------
    BadFile
    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {})["notes"])
            return {name: file.get_tensor(name) for name in file.keys()}, notes  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as exc:
        raise BadFile(f"{path}: not a snapshot: {exc}", "remove it and train again") from exc


def has_snapshot(folder: Path | None, resume: bool) -> bool:
    """Whether there is a run to go on with.

    Raises
    ------
    UsageError
        There is one, and nobody said what to do with it.
    """
    found = folder is not None and (folder / FILE).is_file()
    if found and not resume:
        raise UsageError(
            f"{folder} holds an unfinished run", "go on with --resume, or remove that folder"
        )
    return found


def optimiser_tensors(prefix: str, optimiser: Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as named tensors."""
    return {
        f"{prefix}/{index}/{key}": torch.as_tensor(value)
        for index, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_optimiser(prefix: str, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser the state that `optimiser_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{prefix}/"):
            index, key = name.removeprefix(f"{prefix}/").split("/")
            state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
