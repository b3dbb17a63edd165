"""LoRA: a trained low-rank update of every frozen matrix (arXiv 2106.09685)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from catalog.adapt.recipe import Lora


class LowRank(nn.Module):  # type: ignore[misc]
    """W -> W + alpha / rank * B A; B begins at zero, so training begins at the parent."""

    def __init__(self, rows: int, columns: int, lora: Lora) -> None:
        super().__init__()
        rank = min(lora.rank, rows, columns)
        self.scale = lora.alpha / rank
        self.a = nn.Parameter(torch.randn(rank, columns) / columns**0.5)
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The updated matrix."""
        return weight + self.scale * (self.b @ self.a)


def add_lora(module: nn.Module, lora: Lora, keep: set[str]) -> list[nn.Parameter]:
    """Update every linear layer's matrix but those in `keep`; returns what trains."""
    added: list[nn.Parameter] = []
    for name, layer in list(module.named_modules()):
        weight = f"{name}.weight".lstrip(".")
        if not isinstance(layer, nn.Linear) or weight in keep or parametrize.is_parametrized(layer):
            continue
        update = LowRank(layer.out_features, layer.in_features, lora)
        parametrize.register_parametrization(layer, "weight", update)
        added += update.parameters()
    return added


def merge_lora(module: nn.Module) -> None:
    """Turn every update into plain weights: the module is as before, with other values."""
    for layer in list(_updated(module)):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _updated(module: nn.Module) -> Iterator[nn.Module]:
    for layer in module.modules():
        if parametrize.is_parametrized(layer, "weight") and isinstance(
            layer.parametrizations.weight[0], LowRank
        ):
            yield layer
