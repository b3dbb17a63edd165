"""Showers in the form that `cvae` and `flow` learn: sums, and voxels relative to their sums.

Voxels are shares of the visible energy that the beam should give (E x sampling fraction), on a mesh
in X0 and R_M. The sums of a shower (its total, and its layers, rings and sectors) are standardised
by a line in ln E and a spread that belong to one detector. So "one spread deeper than usual at this
energy" means the same in every electromagnetic calorimeter, and a model that knows many of them
needs few showers of the next one: they set the lines and spreads before any gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from catalog.adapt.family import TrainingData
from catalog.domain import TensorSpec
from catalog.domain.geometry import BEAM, CONDITIONS, GEOMETRY
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from sample_models.batches import Draw
from sample_models.tools import export_onnx

LAYERS, SECTORS, RINGS = PHYSICS_SHAPE.size
VOXELS = LAYERS * SECTORS * RINGS
ZONES = ((0, 5), (5, 10), (10, LAYERS))  # rings are summed in these layers (X0)
BELTS = ((0, 1), (1, 2), (2, RINGS))  # sectors are summed in these rings
SUMS = 1 + LAYERS + len(ZONES) * RINGS + len(BELTS) * SECTORS
HIT = 2e-5  # a voxel is hit above this share, as in catalog.physics.observables
LOG_HIT = float(np.log(HIT))
_FLOOR = (3e-4, 2e-3, 5e-3)  # added to layer, ring and sector fractions before the logarithm
_PARTS = [1, LAYERS, len(ZONES) * RINGS, len(BELTS) * SECTORS]
_MANY = 3  # detectors from which on a model is told the geometry: of fewer it would learn a name
_NOISE = 1e-2  # least spread of a sum


def log_sums(shares: Tensor) -> Tensor:
    """Logs of the sums of showers (N, LAYERS, SECTORS, RINGS): (N, SUMS); the total's is x 10."""
    layer = shares.sum((2, 3))
    total = layer.sum(1, keepdim=True).clamp_min(1e-6)
    rings = torch.stack([shares[:, a:b].sum((1, 2)) for a, b in ZONES], 1)
    sectors = torch.stack([shares[..., a:b].sum((1, 3)) for a, b in BELTS], 1)
    parts = [layer / total] + [x / x.sum(2, keepdim=True).clamp_min(1e-6) for x in (rings, sectors)]
    logs = [torch.log(part + floor).flatten(1) for part, floor in zip(parts, _FLOOR, strict=True)]
    return torch.cat([10 * torch.log(total), *logs], 1)


def from_logs(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Layer sums (N, LAYERS), ring fractions per zone and sector fractions per belt."""
    total, *logs = t.split(_PARTS, 1)
    parts = [(torch.exp(log) - floor).clamp_min(0) for log, floor in zip(logs, _FLOOR, strict=True)]
    layer = parts[0] / parts[0].sum(1, keepdim=True).clamp_min(1e-9) * torch.exp(total / 10)
    rings = parts[1].view(-1, len(ZONES), RINGS)
    sectors = parts[2].view(-1, len(BELTS), SECTORS)
    rings, sectors = (y / y.sum(2, keepdim=True).clamp_min(1e-9) for y in (rings, sectors))
    return layer, rings, sectors


def log_expected(t: Tensor) -> Tensor:
    """Log share of every voxel if rings and sectors did not know of each other: (N, VOXELS)."""
    layer, rings, sectors = from_logs(t)
    zone = [i for i, (a, b) in enumerate(ZONES) for _ in range(a, b)]
    belt = [i for i, (a, b) in enumerate(BELTS) for _ in range(a, b)]
    spread = rings[:, zone][:, :, None, :] * sectors[:, belt].transpose(1, 2)[:, None]
    return torch.log((layer[:, :, None, None] * spread).clamp_min(1e-9)).flatten(1)


def fit_sums(x: Tensor, t: Tensor, rounds: int = 4) -> Tensor:
    """Scale voxels until their sums are those of `t` (iterative proportional fitting)."""
    layer, rings, sectors = from_logs(t)
    for _ in range(rounds):
        x = torch.cat(
            [_scale_sectors(x[..., a:b], sectors[:, i]) for i, (a, b) in enumerate(BELTS)], 3
        )
        x = torch.cat(
            [
                _scale_rings(x[:, a:b], rings[:, i] * layer[:, a:b].sum(1, keepdim=True))
                for i, (a, b) in enumerate(ZONES)
            ],
            1,
        )
        x = x * (layer / x.sum((2, 3)).clamp_min(1e-9))[:, :, None, None]
    return x


def _scale_sectors(belt: Tensor, fractions: Tensor) -> Tensor:
    found = belt.sum((1, 3))
    wanted = fractions * found.sum(1, keepdim=True)
    return belt * (wanted / found.clamp_min(1e-9))[:, None, :, None]


def _scale_rings(zone: Tensor, wanted: Tensor) -> Tensor:
    return zone * (wanted / zone.sum((1, 2)).clamp_min(1e-9))[:, None, None, :]


def lines(values: Tensor, ln_e: Tensor) -> Tensor:
    """Mean at ln_e = 0, slope in ln_e, and spread about that line, of columns: (3, columns).

    A slope needs energies that differ: one more shower than there are, at the mean, is assumed.
    """
    middle = ln_e.mean()
    away = (ln_e - middle)[:, None]
    slope = (away * (values - values.mean(0))).sum(0) / ((away**2).sum() + 1)
    mean = values.mean(0) - slope * middle
    rest = values - mean - slope * ln_e[:, None]
    return torch.stack([mean, slope, rest.square().mean(0).sqrt() + _NOISE])


def standardise(values: Tensor, ln_e: Tensor, own: Tensor) -> Tensor:
    """Values (N, columns) in spreads about the line of their detector, own (N or 1, 3, columns)."""
    return (values - own[:, 0] - own[:, 1] * ln_e[:, None]) / own[:, 2]


def restore(values: Tensor, ln_e: Tensor, own: Tensor) -> Tensor:
    """The inverse of `standardise`."""
    return values * own[:, 2] + own[:, 0] + own[:, 1] * ln_e[:, None]


def condition_names(sets: Sequence[ShowerSet]) -> list[str]:
    """What a model of these showers is told: energy; the particle, angle and geometry if they vary.

    A model that has seen one geometry would take another one's numbers for noise.
    """
    names = ["energy_gev"]
    if any(np.ptp(showers.theta_rad) > 0 for showers in sets):
        names.append("theta_rad")
    if len({showers.pdg == 22 for showers in sets}) > 1:
        names.append("is_photon")
    if len({showers.detector.name for showers in sets}) >= _MANY:
        names += [name for name in CONDITIONS if name not in BEAM]
    return names


def for_detectors(config: Mapping[str, Any], sets: Sequence[TrainingData]) -> dict[str, Any]:
    """The configuration of a model trained on `sets`, and exported for the first of them.

    What knows one detector only answers for that one: its geometry becomes part of the model. What
    knows many is told the geometry with every shower.
    """
    first = sets[0]
    told = {
        name: getattr(first.geometry, name) for name in config["conditions"] if name in GEOMETRY
    }
    fixed = told if len(sets) == 1 else {}
    return {**config, "sampling_fraction": first.sampling_fraction, "geometry": fixed}


def asked_names(config: Mapping[str, Any]) -> list[str]:
    """The conditions that a model is given with every shower."""
    return [name for name in config["conditions"] if name not in config.get("geometry", {})]


def all_conditions(condition: Tensor, config: Mapping[str, Any]) -> Tensor:
    """Scaled conditions of a model from those it is given, (N, len(config["conditions"]))."""
    fixed, asked = config.get("geometry", {}), asked_names(config)
    columns = [
        torch.full_like(condition[:, 0], fixed[name])
        if name in fixed
        else condition[:, asked.index(name)]
        for name in config["conditions"]
    ]
    return scaled(torch.stack(columns, 1), config["conditions"])


def scaled(condition: Tensor, names: Sequence[str]) -> Tensor:
    """Conditions (N, len(names)) of order one: logarithms of all but angle and particle."""
    columns = []
    for i, name in enumerate(names):
        column = condition[:, i]
        if name == "energy_gev":
            column = (torch.log(column) - 2.3) / 1.3
        elif name == "sampling_fraction":
            column = torch.log(column) / 3
        elif name == "layers":
            column = torch.log(column / 30)
        elif name == "critical_mev":
            column = torch.log(column / 10)
        elif name in ("layer_x0", "cell_rm"):
            column = torch.log(column)
        columns.append(column)
    return torch.stack(columns, 1)


def shares_of(data: TrainingData) -> Tensor:
    """Showers as shares of the visible energy that the beam should give."""
    visible = torch.tensor(data.incident_gev * data.sampling_fraction, dtype=torch.float32)
    return torch.as_tensor(data.showers) / visible[:, None, None, None]


def learned_from(
    sets: Sequence[TrainingData], names: Sequence[str]
) -> tuple[list[Tensor], list[Tensor]]:
    """Showers as shares and their scaled conditions, detector by detector."""
    shares = [shares_of(data) for data in sets]
    return shares, [scaled(torch.tensor(data.conditions(names)), names) for data in sets]


def examples_of(shares: Sequence[Tensor], given: Sequence[Tensor]) -> dict[str, Tensor]:
    """All of them laid end to end for the training loop; `which` tells the detector of a row."""
    sizes = torch.tensor([len(x) for x in shares])
    which = torch.repeat_interleave(torch.arange(len(shares)), sizes)
    return {"shares": torch.cat(list(shares)), "given": torch.cat(list(given)), "which": which}


def turned(x: Tensor, draw: Draw, chance: float) -> Tensor:
    """Turn by quarters and mirror: exact symmetries of square cells, so eight times the showers."""
    which, lot = draw.integer(8), draw.integer(1000)
    if lot >= 1000 * chance:
        return x
    x = torch.roll(x, which // 2 * (SECTORS // 4), 2)
    return x.flip(2) if which % 2 else x


def tensor_specs(
    noise: int, meaning: str, names: Sequence[str]
) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Inputs (noise, condition) and output (showers) of a sampler on the physics mesh."""
    alone = len(names) == 1
    inputs = [
        TensorSpec(
            name="noise",
            dtype="float32",
            shape=(-1, noise),
            role="noise",
            distribution="normal",
            meaning=meaning,
        ),
        TensorSpec(
            name="energy_gev" if alone else "condition",
            dtype="float32",
            shape=(-1, len(names)),
            role="condition",
            unit="GeV" if alone else "1",
            components=tuple(names),
        ),
    ]
    output = TensorSpec(
        name="showers",
        dtype="float32",
        shape=(-1, *PHYSICS_SHAPE.size),
        role="showers",
        unit="GeV",
        meaning="visible energy (layer of 1 X0, sector, ring of R_M / 2)",
    )
    return inputs, [output]


def example_inputs(noise: int, names: Sequence[str]) -> dict[str, Any]:
    """Two rows of valid inputs, to trace a model with."""
    plain = {"energy_gev": 10.0, "layers": 30.0, "critical_mev": 10.0}
    row = [plain.get(name, 0.5) for name in names]
    given = "energy_gev" if len(names) == 1 else "condition"
    return {"noise": torch.zeros(2, noise), given: torch.tensor([row, row])}


def export_scorer(
    scorer: nn.Module, names: Sequence[str], path: Path
) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Write a scorer of showers on the physics mesh."""
    (_, condition), (showers,) = tensor_specs(1, "", names)
    given = example_inputs(1, names)[condition.name]
    example = {"showers": torch.full((2, *PHYSICS_SHAPE.size), 1e-3), condition.name: given}
    export_onnx(scorer, example, path, output="score")
    score = TensorSpec(name="score", dtype="float32", shape=(-1,), role="prediction")
    return [showers, condition], [score]
