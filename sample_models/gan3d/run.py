"""Train 3DGAN for some minutes, at the speed that the machine has, and say how fast that is."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog.adapt.family import (
    Checkpoint,
    Judge,
    Judged,
    Pace,
    Plan,
    Running,
    Trained,
    write_checkpoint,
)
from sample_models.batches import Batch, lone_draw
from sample_models.gan3d.model import Gan3d, part_of
from sample_models.gan3d.networks import architecture
from sample_models.gan3d.training import Gan3dLearner
from sample_models.half import rounded
from sample_models.learner import start_weights
from sample_models.tools import repeatable, weights_of
from sample_models.trainer import fit

# Dense bfloat16, by the makers' data sheets.
_PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
_LAYOUTS = {"channels last": torch.channels_last_3d, "channels first": torch.contiguous_format}
_TIMED = 3  # steps
_TRAINING = 0.9  # share of the time, the rest is judging


@dataclass(frozen=True)
class Phase:
    """One training: on what, from which configuration, how, and for how long."""

    name: str
    examples: Mapping[str, NDArray[Any]]
    config: Mapping[str, Any]
    plan: Plan  # its steps follow from `seconds`
    seconds: float


def train_phase(
    phase: Phase, start: Checkpoint, asked: Tensor, judge: Judge, path: Path
) -> tuple[Checkpoint, dict[str, Any]]:
    """Train; the best step so far always lies in `path`.

    Parameters
    ----------
    start : empty weights if the plan is from scratch
    asked : the judge's conditions (M, conditions)

    Returns
    -------
    The best checkpoint, and the facts of the run.

    Raises
    ------
    CatalogError
        The training failed.
    """
    began = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    work = flops(phase.config)
    with repeatable(phase.plan.seed):
        module = Gan3d(phase.config)
        start_weights(module, start, phase.plan, part_of)
        layout, speed = _fastest(module, phase, device)
        # Judging takes time, too; what is left over at the end is harmless.
        steps = max(20, round(_TRAINING * phase.seconds * speed / phase.plan.batch))
        plan = replace(phase.plan, steps=steps)
        learner = _Held(
            module.to(memory_format=_LAYOUTS[layout]), phase.config, phase.examples, asked, plan
        )
        keep = _keeping(judge, learner, path)
        trained = fit(learner, phase.config, "3dgan", plan, keep, Running(
            watch=_line(phase.name, learner, work), budget_s=phase.seconds,
        ))  # fmt: skip
    best, seconds = trained.checkpoint, round(time.monotonic() - began, 1)
    write_checkpoint(best, path)
    return best, {**_facts(phase, plan, trained, work), "layout": layout, "seconds": seconds}


def _facts(phase: Phase, plan: Plan, trained: Trained, work: float) -> dict[str, Any]:
    return {
        "phase": phase.name,
        "showers": len(phase.examples["energy"]),
        "batch": plan.batch,
        "steps": trained.steps,
        "best_step": trained.best,
        "w1_geomean": min(judged.score for judged in trained.curve),
        "device": trained.device,
        "showers_per_s": round(trained.pace.showers_per_s, 1),
        **_tflops(work * trained.pace.showers_per_s),
        "curve": [[judged.step, judged.score] for judged in trained.curve],
    }


class _Held(Gan3dLearner):
    """Keeps the weights it was judged with: the loop puts its own back before it asks the judge."""

    weights: Mapping[str, NDArray[Any]]

    def sample(self, device: torch.device) -> Tensor:
        """As every learner."""
        self.weights = weights_of(self.module)
        return super().sample(device)


def _keeping(judge: Judge, learner: _Held, path: Path) -> Judge:
    """The judge, who also writes what is better than all before."""
    best = float("inf")

    def keep(showers: NDArray[Any]) -> float:
        nonlocal best
        score = judge(showers)
        if score < best:
            best = score
            write_checkpoint(rounded(Checkpoint("3dgan", learner.config, learner.weights)), path)
        return score

    return keep


def _line(name: str, learner: Gan3dLearner, work: float) -> Callable[[Judged, Pace], None]:
    """Print one line per judgement."""
    began = time.monotonic()

    def line(judged: Judged, pace: Pace) -> None:
        losses = " ".join(f"{key} {value:.3g}" for key, value in learner.last.items())
        rate = _tflops(work * pace.showers_per_s)
        print(
            f"{name} {time.monotonic() - began:.0f} s  step {judged.step}  w1 {judged.score:.4f}  "
            f"{pace.showers_per_s:.0f} showers/s  "
            + "  ".join(f"{key} {value:g}" for key, value in rate.items())
            + f"  waiting {100 * pace.waiting:.0f} %  losses: {losses}",
            flush=True,
        )

    return line


def flops(config: Mapping[str, Any]) -> float:
    """Floating-point operations per shower and step; a multiplication with its sum counts two.

    Seven forward passes' worth of the generator and ten of the discriminator: one and two of them
    to make and judge showers forward, the others backward.
    """
    from torch.utils.flop_counter import FlopCounterMode

    model, counted = Gan3d(config).eval(), []
    image = torch.zeros(1, *architecture(config).image)
    seed = torch.zeros(1, architecture(config).inputs)
    for network, given in ((model.generator, seed), (model.discriminator, image)):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(given)
        counted.append(counter.get_total_flops())
    return float(7 * counted[0] + 10 * counted[1])


def _tflops(flops_per_s: float) -> dict[str, float]:
    """What was reached, and its share of the device's peak where that is known."""
    found = {"tflops": round(flops_per_s / 1e12, 3)}
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((value for key, value in _PEAK_TFLOPS.items() if key in name), None)
    if peak:
        found["percent_of_peak"] = round(100 * flops_per_s / 1e12 / peak, 2)
    return found


def _fastest(module: Gan3d, phase: Phase, device: torch.device) -> tuple[str, float]:
    """The faster order of axes in memory, and its showers/s, measured on a copy."""
    speeds = {}
    for name, layout in _LAYOUTS.items() if device.type == "cuda" else [*_LAYOUTS.items()][:1]:
        trial = copy.deepcopy(module).to(device, memory_format=layout)
        speeds[name] = _speed(trial, phase, device)
        print(f"{name}: {speeds[name]:.1f} showers/s", flush=True)
    best = max(speeds, key=lambda name: speeds[name])
    return best, speeds[best]


def _speed(module: Gan3d, phase: Phase, device: torch.device) -> float:
    """Showers per second of whole steps, after warming up where that matters."""
    size, gpu = phase.plan.batch, device.type == "cuda"
    rows = {
        name: torch.as_tensor(array[:size]).to(device) for name, array in phase.examples.items()
    }
    learner = Gan3dLearner(module, phase.config, {}, torch.zeros(0, 1), phase.plan)
    players = {
        name: player.optimiser(getattr(module, name).parameters(), lr=1e-6)
        for name, player in learner.players.items()
    }
    batch = Batch(rows, lone_draw(0, len(rows["energy"]), device), 0)
    steps = [2, _TIMED] if gpu else [0, 1]
    for count in steps:
        began = time.perf_counter()
        for _ in range(count):
            _step(learner, players, batch)
        if gpu:
            torch.cuda.synchronize()
        spent = time.perf_counter() - began
    return steps[1] * len(rows["energy"]) / spent


def _step(learner: Gan3dLearner, players: Mapping[str, Any], batch: Batch) -> None:
    losses, gpu = learner.losses(batch), batch.rows["energy"].is_cuda
    while True:
        with torch.autocast("cuda", torch.bfloat16, gpu):
            item = next(losses, None)
        if item is None:
            return
        name, loss = item
        players[name].zero_grad(set_to_none=True)
        loss.backward(inputs=players[name].param_groups[0]["params"])
        players[name].step()
