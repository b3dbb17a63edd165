"""One training loop for every family: judged by physics, resumable, data parallel, any recipe.

The loop owns batches, learning rates, clipping, averaging of weights, judging, snapshots and
stopping; a family gives a `Learner`. All randomness of a step comes from (seed, step), so a run
resumed from a snapshot repeats what it would have done, bit for bit on a CPU.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from catalog.adapt.family import Checkpoint, Judge, Judged, Pace, Plan, Running, Trained
from catalog.errors import UsageError
from sample_models.batches import Batch, Loader
from sample_models.half import rounded
from sample_models.learner import Learner, Optimised, choose_trained
from sample_models.lora import merge_lora
from sample_models.ranks import Ranks, joined
from sample_models.snapshot import (
    has_snapshot,
    load_optimiser,
    load_snapshot,
    optimiser_tensors,
    save_snapshot,
)
from sample_models.tools import SCHEDULES, weights_of
from sample_models.tracking import Tracker

_JUDGEMENTS = 20
_CHECK = 10  # steps after which several ranks ask each other whether to stop


def fit(
    learner: Learner, config: Mapping[str, Any], family: str, plan: Plan, judge: Judge,
    running: Running,
) -> Trained:  # fmt: skip
    """Train; returns the averaged weights that `judge` liked best.

    Asked to end by a signal, it leaves a snapshot in `running.folder` and raises SystemExit.

    Raises
    ------
    UsageError
        Nothing would train, the batch cannot be shared, or the snapshot is of another run.
    """
    ranks = joined()
    with _signals(running.folder) as asked:
        run = _Run(learner, plan, judge, running, ranks)
        stopped = run.train(asked)
        weights, curve = run.best_weights(), tuple(run.curve)
        run.close(stopped)
    return Trained(
        checkpoint=rounded(Checkpoint(family, dict(config), weights)),
        curve=curve,
        steps=run.step,
        best=run.best_step,
        stopped=stopped,
        share=run.share,
        pace=run.pace(),
        device=device_name(ranks),
        before_s=run.before_s,
    )


@dataclass
class _Run:
    """One run: what it is given, and what it has reached."""

    learner: Learner
    plan: Plan
    judge: Judge
    running: Running
    ranks: Ranks
    step: int = 0
    best_step: int = 0
    best_score: float = math.inf
    idle: int = 0  # judgements since the best one
    curve: list[Judged] = field(default_factory=list)
    tracker: Tracker | None = None
    busy: float = 0.0  # seconds of training in this process, without judging
    done: int = 0  # steps in this process
    before_s: float = 0.0  # seconds before the snapshot that this process went on from

    def __post_init__(self) -> None:
        recipe, learner, device = self.plan.recipe, self.learner, self.ranks.device
        self.module = learner.module.to(device)
        self.trained, self.share = choose_trained(learner, recipe)
        self.decay = learner.ema if recipe.ema is None else recipe.ema
        self.schedule = SCHEDULES[recipe.schedule or learner.schedule]
        self.live = dict(self.module.state_dict())  # these share memory with the module
        self.learned = {name for name, _ in self.module.named_parameters()}
        self.average = {name: tensor.clone() for name, tensor in self.live.items()}
        self.best = {name: tensor.clone() for name, tensor in self.live.items()}
        self.loss = torch.zeros(2, dtype=torch.float64, device=device)  # sum, number of steps
        self.loader = Loader(learner.examples, self.plan.seed, self.plan.batch, self.ranks)
        self.identity = _identity(self.plan, learner.examples)
        self.began = self.saved = time.monotonic()

    def train(self, asked: Sequence[int]) -> str:
        """Train to the end; says what ended it."""
        self._begin()
        steps, every = self.plan.steps, max(1, self.plan.steps // _JUDGEMENTS)
        check = _CHECK if self.ranks.world > 1 else 1
        self._train_mode()
        for batch in self.loader.batches(self.step, steps):
            started = time.perf_counter()
            self._advance(batch)
            self.busy += time.perf_counter() - started
            if self.step % every == 0 or self.step == steps:
                self._judge()
                self._tell()
                if self.step < steps and (why := self._enough()):
                    return why
            if self.step % check == 0 and (why := self._must_stop(asked)):
                return why
        return "steps"

    def _begin(self) -> None:
        """Go on from a snapshot, or judge the start."""
        folder, told, run_id = self.running.folder, self.running.mlflow, None
        if folder is not None and has_snapshot(folder, self.running.resume):
            run_id = self._load(folder)
        if told and self.ranks.first:
            params = {"steps": self.plan.steps, "batch": self.plan.batch, "seed": self.plan.seed}
            recipe = self.plan.recipe.model_dump(mode="json", exclude_defaults=True)
            self.tracker = Tracker(told, {**params, **recipe}, run_id)
        if not self.curve:
            self._judge()

    def _train_mode(self) -> None:
        """Frozen batch normalisation keeps its running statistics, as all that is frozen."""
        self.module.train()
        for part in self.module.modules():
            own = list(part.parameters(recurse=False))
            if own and not any(p.requires_grad for p in own):
                part.train(False)

    def _advance(self, batch: Batch) -> None:
        """One step of every player."""
        factor, losses = self.schedule(self.step, self.plan.steps), self.learner.losses(batch)
        for trained in self.trained.values():
            trained.set_rates(factor)
        while True:
            # Only the forward pass runs in half precision; weights and optimisers never do.
            with torch.autocast("cuda", torch.bfloat16, self.ranks.device.type == "cuda"):
                item = next(losses, None)
            if item is None:
                break
            name, loss = item
            if name in self.trained:
                self._step(self.trained[name], loss)
            self.loss[0] += loss.detach()
        self.loss[1] += 1
        self._follow()
        self.step, self.done = self.step + 1, self.done + 1

    def _step(self, trained: Optimised, loss: Tensor) -> None:
        parameters, pull = trained.parameters, self.plan.recipe.l2sp
        trained.optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)
        if pull:
            for parameter, anchor in zip(parameters, trained.anchors, strict=True):
                if parameter.grad is not None:
                    parameter.grad += pull * (parameter.detach() - anchor)
        self.ranks.average([p.grad for p in parameters if p.grad is not None])
        if trained.player.clip < math.inf:
            nn.utils.clip_grad_norm_(parameters, trained.player.clip)
        trained.optimiser.step()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _follow(self) -> None:
        """Move the average of the weights one step (faster in the beginning); copy buffers."""
        keep = min(self.decay, (1 + self.step) / (10 + self.step))
        names = [name for name in self.live if name in self.learned]
        torch._foreach_lerp_(
            [self.average[name] for name in names], [self.live[name] for name in names], 1 - keep
        )
        for name in self.live.keys() - self.learned:
            self.average[name].copy_(self.live[name])

    def _judge(self) -> None:
        """Judge the averaged weights, and keep them if they are the best so far."""
        score = math.inf
        if self.ranks.first:
            score = self._score()
        score = self.ranks.agree(score)
        self.ranks.average([self.loss])
        total, steps = self.loss.tolist()
        self.curve.append(Judged(self.step, total / steps if steps else None, score))
        self.loss.zero_()
        self.idle += 1
        if score < self.best_score:
            self.best_score, self.best_step, self.idle = score, self.step, 0
            _copy(self.average, self.best)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _score(self) -> float:
        own = {name: tensor.clone() for name, tensor in self.live.items()}
        _copy(self.average, self.live)
        self.module.eval()
        showers = self.learner.sample(self.ranks.device).float().cpu().numpy()
        _copy(own, self.live)
        self._train_mode()
        return self.judge(showers) if np.isfinite(showers).all() else math.inf

    def _tell(self) -> None:
        if self.ranks.first:
            self.running.progress(self.step, self.plan.steps)
            self.running.watch(self.curve[-1], self.pace())
            if self.tracker:
                self.tracker.judged(self.curve[-1], self.pace())

    def _enough(self) -> str:
        """Why training should end early, if it should."""
        loss, patience = self.curve[-1].loss, self.plan.recipe.patience
        if loss is None or not math.isfinite(loss):
            return "diverged"
        return "patience" if patience and self.idle >= patience else ""

    def _must_stop(self, asked: Sequence[int]) -> str:
        """Write a snapshot if it is time; end where a signal or the budget says so."""
        now, budget = time.monotonic(), self.running.budget_s
        spent = self.before_s + now - self.began
        late = budget is not None and spent >= budget and self.step < self.plan.steps
        order = int(self.ranks.agree(float(asked[0]) if asked else -1.0 if late else 0.0))
        if order > 0 or now - self.saved >= self.running.snapshot_s:
            self._save()
        if order > 0:
            raise SystemExit(128 + order)
        if order < 0 and self.curve[-1].step != self.step:
            self._judge()
            self._tell()
        return "budget" if order < 0 else ""

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.running.folder is None or not self.ranks.first:
            return
        groups = {"live": self.live, "average": self.average, "best": self.best}
        tensors = {f"{kind}/{n}": t for kind, found in groups.items() for n, t in found.items()}
        for name, trained in self.trained.items():
            tensors |= optimiser_tensors(f"optimiser/{name}", trained.optimiser)
        notes = {
            "identity": self.identity,
            "step": self.step,
            "best": [self.best_step, self.best_score],
            "idle": self.idle,
            "seconds": self.before_s + self.saved - self.began,
            "curve": [list(asdict(judged).values()) for judged in self.curve],
            "mlflow": self.tracker.run_id if self.tracker else None,
        }
        save_snapshot(self.running.folder, {**tensors, "loss": self.loss}, notes)

    def _load(self, folder: Path) -> str | None:
        tensors, notes = load_snapshot(folder)
        if notes["identity"] != self.identity:
            raise UsageError(
                f"{folder} holds an unfinished run with other settings or other data",
                "repeat its options with --resume, or remove that folder",
            )
        groups = {"live": self.live, "average": self.average, "best": self.best}
        for kind, found in groups.items():
            _copy({name: tensors[f"{kind}/{name}"] for name in found}, found)
        for name, trained in self.trained.items():
            load_optimiser(f"optimiser/{name}", trained.optimiser, tensors)
        self.loss.copy_(tensors["loss"])
        self.step, self.idle = notes["step"], notes["idle"]
        self.best_step, self.best_score = notes["best"]
        self.before_s = notes.get("seconds", 0.0)
        self.curve = [Judged(*row) for row in notes["curve"]]
        run_id: str | None = notes["mlflow"]
        return run_id

    def pace(self) -> Pace:
        """Speed so far, in this process."""
        spent = self.busy + self.loader.waited
        each = (time.monotonic() - self.began) / max(self.done, 1)
        return Pace(
            showers_per_s=self.done * self.plan.batch / max(spent, 1e-9),
            waiting=self.loader.waited / max(spent, 1e-9),
            seconds_left=each * (self.plan.steps - self.step),
        )

    def best_weights(self) -> dict[str, Any]:
        """The best weights, low-rank updates merged."""
        _copy(self.best, self.live)
        merge_lora(self.module)
        return weights_of(self.module)

    def close(self, stopped: str) -> None:
        """Nothing is left to go on with."""
        if self.tracker:
            self.tracker.finish(stopped)


def device_name(ranks: Ranks) -> str:
    """What trained, in words."""
    kind = platform.machine()
    if ranks.device.type == "cuda":
        return f"{ranks.world} x {torch.cuda.get_device_name(ranks.device)}"
    return f"CPU, {kind}" if ranks.world == 1 else f"CPU, {kind}, {ranks.world} processes"


@torch.no_grad()  # type: ignore[untyped-decorator]
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])


def _identity(plan: Plan, examples: Mapping[str, Any]) -> str:
    """What a snapshot belongs to: the plan and the first rows of the data."""
    words = [json.dumps([plan.recipe.model_dump(mode="json"), plan.steps, plan.seed, plan.batch])]
    for name, array in sorted(examples.items()):
        head = np.ascontiguousarray(np.asarray(array[:16]))
        words.append(f"{name} {array.shape} {hashlib.sha256(head.tobytes()).hexdigest()}")
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


@contextmanager
def _signals(folder: Path | None) -> Iterator[list[int]]:
    """Signals that asked this process to end, if it can leave a snapshot."""
    asked: list[int] = []
    if folder is None or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    kinds = (signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, lambda number, _: asked.append(number)) for kind in kinds}
    try:
        yield asked
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
