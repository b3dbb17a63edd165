"""energy-regressor-siw: incident energy from the layer sums of a shower; not a generator."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import nn

from catalog.card import CARD_FILE, Card, Training, card_yaml
from catalog.domain import TensorSpec
from catalog.seen import keys_of, write_seen
from catalog.showers import PHYSICS_SHAPE, ShowerSet
from catalog.testvectors import MODEL_FILE, write_test_vectors
from sample_models.tools import cosine, export_onnx, repeatable

NAME = "energy-regressor-siw"
_STEPS, _BATCH, _RATE = 4000, 128, 3e-3
LAYERS = PHYSICS_SHAPE.size[0]


class Regressor(nn.Module):  # type: ignore[misc]
    """Layer sums in GeV visible (N, 25) -> incident energy in GeV (N, 1)."""

    def __init__(self, fraction: float) -> None:
        super().__init__()
        self.fraction = fraction
        self.net = nn.Sequential(nn.Linear(LAYERS + 1, 64), nn.SiLU(), nn.Linear(64, 1))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, layer_gev: torch.Tensor) -> torch.Tensor:
        """The sum over the sampling fraction, corrected by the shape of the profile."""
        total = layer_gev.sum(1, keepdim=True).clamp_min(1e-6)
        seen = torch.cat([layer_gev / total * 10, torch.log(total)], 1)
        return total / self.fraction * torch.exp(0.3 * self.net(seen))


def train(showers: ShowerSet, seed: int) -> Regressor:
    """Fit the relative error; showers: full simulation."""
    layers = torch.tensor(showers.on(PHYSICS_SHAPE).sum((2, 3)))
    energy = torch.tensor(showers.incident_gev, dtype=torch.float32)[:, None]
    with repeatable(seed) as rng:
        model = Regressor(showers.sampling_fraction())
        optimiser = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=1e-2)
        for step in range(_STEPS):
            optimiser.param_groups[0]["lr"] = _RATE * cosine(step, _STEPS)
            pick = torch.randint(0, len(layers), (_BATCH,), generator=rng)
            loss = (((model(layers[pick]) / energy[pick] - 1) ** 2) * energy[pick]).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    return model


def write(folder: Path, showers: ShowerSet, seed: int, device: str) -> None:
    """Train and write the version folder."""
    started = time.monotonic()
    model = train(showers, seed)
    folder.mkdir(parents=True, exist_ok=True)
    export_onnx(model, {"layer_gev": torch.rand(2, LAYERS)}, folder / MODEL_FILE, "energy_gev")
    record = Training(
        dataset="sample_models/data/clic-siw-photon.h5",
        showers=len(showers),
        steps=_STEPS,
        seed=seed,
        recipe={"strategy": "scratch", "batch": _BATCH, "lr": _RATE},
        device=device,
        seconds=round(time.monotonic() - started, 1),
    )
    card = _card(record)
    (folder / CARD_FILE).write_text(card_yaml(card), encoding="utf-8")
    write_test_vectors(folder, card)
    write_seen(folder, keys_of(showers))


def _card(record: Training) -> Card:
    from sample_models.zoo import domain_of

    features = TensorSpec(
        name="layer_gev", dtype="float32", shape=(-1, LAYERS), role="features", unit="GeV",
        meaning="visible energy in each layer of 1 X0",
    )  # fmt: skip
    prediction = TensorSpec(
        name="energy_gev", dtype="float32", shape=(-1, 1), role="prediction", unit="GeV",
        meaning="incident energy",
    )  # fmt: skip
    return Card(
        name=NAME,
        summary="Photon energy from 25 layer sums of a CLIC-like Si-W ECAL, 1-100 GeV",
        description="A small network that corrects the calorimetric sum for leakage by the shape "
        "of the longitudinal profile. Features: visible energy in GeV per layer of 1 X0.",
        task="energy-regression",
        family=None,
        licence="Apache-2.0",
        authors=("The hep-model-catalog authors",),
        domain=domain_of("clic-siw"),
        inputs=(features,),
        outputs=(prediction,),
        training=record,
    )
