"""Data parallel training: the processes that torchrun started, or this one alone.

Gradients are averaged in one message per optimiser step. No wrapper around the module: a GAN's two
optimisers, a frozen backbone and LoRA's extra weights need nothing special.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from catalog.errors import UsageError


@dataclass(frozen=True)
class Ranks:
    """This process among `world`; rank 0 judges, reports and writes."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that judges, reports and writes."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The rows of a global batch that are this rank's.

        Raises
        ------
        UsageError
            The batch cannot be shared evenly.
        """
        if batch % self.world:
            raise UsageError(
                f"a batch of {batch} cannot be shared by {self.world} processes",
                f"give --batch as a multiple of {self.world}",
            )
        size = batch // self.world
        return slice(self.rank * size, (self.rank + 1) * size)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the ranks."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def agree(self, value: float) -> float:
        """Rank 0's value, on every rank."""
        if self.world == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(told, 0)
        return float(told)


def joined() -> Ranks:
    """Join the processes of torchrun (gloo on CPU, nccl on GPU), if it started this one.

    Once joined it stays so: an adaptation trains twice, and its processes cannot meet a second
    time at the address torchrun gave them.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world == 1:
        return Ranks(0, 1, device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return Ranks(rank, world, device)
