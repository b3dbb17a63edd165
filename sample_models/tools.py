"""What the families share: repeatable torch, checkpoints as modules, quiet ONNX export."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from catalog.errors import BadFile
from sample_models.half import store_half

# Sums are split over threads, so their number is part of the result: one, whatever the machine.
THREADS = 1


@contextlib.contextmanager
def repeatable(seed: int) -> Iterator[torch.Generator]:
    """Fix seed, threads and algorithms, so that training twice gives the same bits.

    The caller's settings are restored afterwards.
    """
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(THREADS)
        # Some GPU kernels have no deterministic version: there a run repeats but for rounding.
        torch.use_deterministic_algorithms(not torch.cuda.is_available())
        try:
            yield torch.Generator().manual_seed(seed)
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)


def weights_of(module: nn.Module) -> dict[str, NDArray[np.float32]]:
    """All parameters and buffers as float32 arrays."""
    state = module.state_dict()
    return {name: value.cpu().numpy().astype(np.float32) for name, value in state.items()}


def load_weights(module: nn.Module, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Fill a module; every array must be there, be finite and have its shape.

    Raises
    ------
    BadFile
    """
    wanted = module.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in weights]
    problems += [f"{name} is unknown" for name in weights if name not in wanted]
    for name in set(wanted) & set(weights):
        if tuple(wanted[name].shape) != weights[name].shape:
            problems.append(f"{name} is {weights[name].shape}, not {tuple(wanted[name].shape)}")
        elif not np.isfinite(weights[name]).all():
            problems.append(f"{name} has values that are not finite")
    if problems:
        raise BadFile(f"the checkpoint does not fit its family: {'; '.join(sorted(problems)[:5])}")
    kinds = {name: value.dtype for name, value in wanted.items()}
    module.load_state_dict({k: torch.tensor(v).to(kinds[k]) for k, v in weights.items()})


def cosine(step: int, steps: int, warm: int = 100) -> float:
    """Learning-rate factor: linear warm-up, then half a cosine down to 2 %."""
    ramp = min(1.0, (step + 1) / warm)
    return ramp * (0.02 + 0.49 * (1 + math.cos(math.pi * step / steps)))


def late(step: int, steps: int) -> float:
    """Learning-rate factor that falls to a tenth over the last half."""
    return min(1.0, 0.1 + 1.8 * (1 - (step + 1) / steps))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "cosine": cosine,
    "constant": lambda _step, _steps: 1.0,
    "late": late,
}


def export_onnx(
    module: nn.Module, inputs: Mapping[str, torch.Tensor], path: Path, output: str = "showers"
) -> None:
    """Write a module as one ONNX file with a free batch axis.

    By torch's older exporter: the newer one needs 10 s where this one needs less than one, and an
    adaptation of a minute exports. Names are removed, so the same weights give the same bytes.
    """
    free = {0: "batch"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own exporter
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes=dict.fromkeys((*inputs, output), free),
            opset_version=18,
            dynamo=False,
        )
    _strip(path)
    store_half(path)


def _strip(path: Path) -> None:
    """Drop everything from an ONNX file that is neither graph nor weights."""
    model = onnx.load(path)
    graph = model.graph
    parts = [*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output]
    for part in (model, graph, *parts):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
