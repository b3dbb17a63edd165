"""The family `3dgan` as the catalog sees it: both versions, told apart by the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from catalog.adapt.family import Checkpoint, Judge, Plan, Running, Trained, TrainingData
from catalog.domain import TensorSpec
from catalog.errors import UsageError
from catalog.showers import Shape, ShowerSet
from sample_models.gan3d.export import export_critic, export_sampler
from sample_models.gan3d.model import (
    Gan3d,
    fit_sums,
    linear_images,
    native_config,
    part_of,
    shape_of,
)
from sample_models.gan3d.training import Gan3dLearner
from sample_models.learner import start_weights
from sample_models.tools import repeatable
from sample_models.trainer import fit

_TILTED = 0.05  # rad; showers beyond need the version with variable angle
_CELL_RM = 0.23  # of showers that have no square cells


class Gan3dFamily:
    """Conditional convolutional GANs on 25 x 25 x 25 or 51 x 51 x 25 cells."""

    name = "3dgan"
    scorer = "critic.onnx"

    def fresh(self, sets: Sequence[ShowerSet]) -> dict[str, Any]:
        """Configuration for the block of cells of the first set; tilted showers decide the version.

        Fixed angle has 25 cells a side, variable angle 51; both have 25 layers.
        """
        first = sets[0]
        tilted = max(float(np.abs(showers.theta_rad).max()) for showers in sets) > _TILTED
        version, cells = ("angle", 51) if tilted else ("fixed", 25)
        x0, rm = first.scale()
        layer = first.mesh.layers[0]
        cell = _CELL_RM * rm
        if layer.kind == "cartesian":
            cell = (layer.b[-1] - layer.b[0]) / cells
        return native_config(x0, rm, first.mesh.depth_mm / 25, cell, version)

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """A block of cells, in X0 along the shower and R_M across."""
        return shape_of(config)

    def part_of(self, parameter: str) -> str:
        """The part a parameter belongs to, as recipes name it."""
        return part_of(parameter)

    def train(
        self,
        sets: Sequence[TrainingData],
        start: Checkpoint,
        plan: Plan,
        judge: Judge,
        running: Running,
    ) -> Trained:
        """Train on one or several detectors; return the judged best.

        On a GPU if there is one, in bfloat16 and not repeatable to the bit; else on the CPU.

        Raises
        ------
        CatalogError
            The training failed: only empty showers, or a loss that is not finite.
        """
        examples, config = prepare(sets, start.config)
        asked = torch.tensor(sets[0].judge_conditions(config["conditions"]))
        return train_on(examples, asked, replace(start, config=config), plan, judge, running)

    def export(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write the generator as ONNX: noise, energy_gev (and theta_rad) -> showers."""
        return export_sampler(checkpoint, path)

    def export_scorer(
        self, checkpoint: Checkpoint, path: Path
    ) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Write the discriminator as ONNX: showers -> score, larger is more like real."""
        return export_critic(checkpoint, path)


def prepare(
    sets: Sequence[TrainingData], config: Mapping[str, Any]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Showers of all detectors as images, and the configuration calibrated to them.

    Raises
    ------
    UsageError
        No shower has the energy that 3DGAN needs.
    """
    images = [linear_images(data.showers, data.sampling_fraction, config) for data in sets]
    given = np.concatenate([data.conditions(["energy_gev", "theta_rad"]) for data in sets])
    found = np.concatenate(images) if len(images) > 1 else images[0]
    enough = ~(found.sum((1, 2, 3)) <= config["minimum_sum"])  # keeps NaN, which training refuses
    if not enough.any():
        raise UsageError(
            f"3dgan learns from showers of at least {config['minimum_sum'] / config['gain']:g} GeV",
            "give showers of higher energies, or choose another family",
        )
    examples: dict[str, NDArray[np.float32]] = {
        "image": found[enough],
        "energy": (given[enough, 0] / config["unit_gev"]).astype(np.float32),
        "theta": given[enough, 1],
    }
    return examples, {
        **config,
        "sampling_fraction": sets[0].sampling_fraction,
        "sum_fit": fit_sums(examples["image"], examples["energy"]),
    }


def train_on(
    examples: Mapping[str, Any],
    asked: torch.Tensor,
    start: Checkpoint,
    plan: Plan,
    judge: Judge,
    running: Running,
) -> Trained:
    """Train on images that `prepare` (or a simulation) made; `start` has the configuration."""
    with repeatable(plan.seed):
        module = Gan3d(start.config)
        start_weights(module, start, plan, part_of)
        learner = Gan3dLearner(module, start.config, examples, asked, plan)
        return fit(learner, start.config, start.family, plan, judge, running)


FAMILY = Gan3dFamily()
