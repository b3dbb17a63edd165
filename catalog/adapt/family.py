"""What a model family offers, and how the catalog finds one by name.

A family is found through the entry-point group `catalog.families`; the catalog never unpickles a
model: it rebuilds it from a name, a JSON configuration and arrays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.adapt.recipe import Recipe
from catalog.domain import TensorSpec
from catalog.domain.geometry import Geometry, conditions
from catalog.errors import BadFile, cannot_write
from catalog.plugins import load_plugin
from catalog.showers import Shape, ShowerSet

CHECKPOINT_FILE = "checkpoint.safetensors"

# Called every so often with (steps done, steps in all).
Progress = Callable[[int, int], None]


# Distance of showers (N, *shape.size), GeV visible, generated at `TrainingData.judge_gev`.
Judge = Callable[[NDArray[np.float32]], float]


@dataclass(frozen=True)
class Checkpoint:
    """An adaptable model: family, JSON configuration, arrays."""

    family: str
    config: Mapping[str, Any]
    weights: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class TrainingData:
    """Showers of one detector to learn from, and conditions to be judged at.

    showers : (N, *shape.size) float32, GeV visible
    incident_gev, theta_rad : (N,);  judge_gev, judge_theta_rad : (M,)
    """

    showers: NDArray[np.float32]
    incident_gev: NDArray[np.float64]
    theta_rad: NDArray[np.float64]
    pdg: int
    geometry: Geometry
    judge_gev: NDArray[np.float64]
    judge_theta_rad: NDArray[np.float64]

    @property
    def sampling_fraction(self) -> float:
        """Visible over deposited energy."""
        return self.geometry.sampling_fraction

    def conditions(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Conditions of the showers by name (see `catalog.domain.geometry`): (N, len(names))."""
        return conditions(names, self.incident_gev, self.theta_rad, self.pdg, self.geometry)

    def judge_conditions(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Conditions that the judge asks for, by name: (M, len(names))."""
        return conditions(names, self.judge_gev, self.judge_theta_rad, self.pdg, self.geometry)


@dataclass(frozen=True)
class Plan:
    """What one training run learns: with the same data, all that decides its result.

    strategy "scratch" of the recipe starts afresh, any other from the checkpoint.
    """

    recipe: Recipe
    steps: int
    seed: int = 0
    batch: int = 64

    @property
    def scratch(self) -> bool:
        """Whether it starts from nothing."""
        return self.recipe.strategy == "scratch"


@dataclass(frozen=True)
class Judged:
    """The state of a run at one judgement; `loss` is the mean since the last one."""

    step: int
    loss: float | None
    score: float


@dataclass(frozen=True)
class Pace:
    """How fast a run goes: showers trained on per second, the share of the time in which the device
    waited for data, and about how many seconds are left."""

    showers_per_s: float
    waiting: float
    seconds_left: float


def silent(done: int, steps: int) -> None:
    """Tell nobody."""


def _unwatched(judged: Judged, pace: Pace) -> None:
    pass


@dataclass(frozen=True)
class Running:
    """How a run is carried out; only `budget_s` decides anything about the result: where it ends.

    folder : where snapshots go, so that a killed run can be resumed; None keeps none
    resume : go on from the snapshot of that folder
    budget_s : seconds after which training stops at the best step so far
    mlflow : tracking URI to report to
    """

    progress: Progress = silent
    watch: Callable[[Judged, Pace], None] = _unwatched
    folder: Path | None = None
    resume: bool = False
    snapshot_s: float = 60.0
    budget_s: float | None = None
    mlflow: str | None = None


@dataclass(frozen=True)
class Trained:
    """What came out of a run: the best judged step, and how it went.

    curve : every judgement, from step 0 (before training) on
    steps : steps done; `best` is the one that was kept
    stopped : "steps", or what ended it earlier: "budget", "patience", "diverged"
    share : of the parameters, how many trained
    before_s : seconds of training before the snapshot that this process went on from
    """

    checkpoint: Checkpoint
    curve: tuple[Judged, ...]
    steps: int
    best: int
    stopped: str
    share: float
    pace: Pace
    device: str
    before_s: float = 0.0


class Family(Protocol):
    """How checkpoints of one architecture are trained, sampled and exported.

    scorer : file of the scorer graph in a version: likelihood.onnx, or critic.onnx of a GAN
    """

    name: str
    scorer: str

    def fresh(self, sets: Sequence[ShowerSet]) -> dict[str, Any]:
        """Configuration of an untrained model for showers like these; the first set is exported."""
        ...

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """The mesh it generates on, in X0 and R_M."""
        ...

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to; see `catalog.adapt.recipe`."""
        ...

    def train(
        self,
        sets: Sequence[TrainingData],
        start: Checkpoint,
        plan: Plan,
        judge: Judge,
        running: Running,
    ) -> Trained:
        """Train on one or several detectors; return the step that `judge` likes best.

        It is judged, and exported, as a model of the first of them. Same inputs, same result.
        """
        ...

    def export(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write one ONNX file; return its inputs and outputs."""
        ...

    def export_scorer(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write one ONNX file: showers (and conditions) -> score, larger fits better."""
        ...


def first_rank() -> bool:
    """Whether this process is the only one, or the one of torchrun's that judges and writes."""
    return os.environ.get("RANK", "0") == "0"


def load_family(name: str) -> Family:
    """Find a family by name.

    Raises
    ------
    NotFound, MissingExtra
    """
    hint = "install the package that provides it"
    family: Family = load_plugin("families", name, what="model family", extra="train", hint=hint)
    return family


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint as safetensors; family and configuration go into its header.

    The same checkpoint gives the same bytes: safetensors itself writes metadata in random order.
    """
    from safetensors.numpy import save

    config = json.dumps(checkpoint.config, sort_keys=True)
    ordered = {
        name: np.ascontiguousarray(checkpoint.weights[name]) for name in sorted(checkpoint.weights)
    }
    blob = save(ordered, {"family": checkpoint.family, "config": config})
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.dumps(json.loads(blob[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    try:
        path.write_bytes(len(header).to_bytes(8, "little") + header + blob[end:])
    except OSError as exc:
        raise cannot_write(path, exc) from exc


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    BadFile
        Not a safetensors file, or one without a family.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Checkpoint(header["family"], json.loads(header["config"]), weights)
    except (SafetensorError, KeyError, ValueError, OSError) as exc:
        raise BadFile(f"{path}: not an adaptable checkpoint: {exc}") from exc
