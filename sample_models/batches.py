"""Batches whose content depends on (seed, step) alone, loaded while the device works.

So a run resumed at step k sees what it would have seen, and rank r of w takes its share of the
same global batch and of the same random numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sample_models.ranks import Ranks

_RESIDENT = 0.25  # of a GPU's memory that data may take to live there for good


class Draw:
    """Random numbers for the rows of one rank, cut from those of the whole batch."""

    def __init__(self, seed: tuple[int, ...], total: int, own: slice, device: torch.device) -> None:
        sequence = np.random.SeedSequence(seed)
        state = int(sequence.generate_state(1, np.uint64)[0] >> 1)
        self._host = np.random.default_rng(sequence)  # asking a GPU would make it wait
        self._rng = torch.Generator(device).manual_seed(state)
        self._total, self._own, self.device = total, own, device

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, (rows, *shape)."""
        full = (self._total, *shape)
        return torch.randn(full, generator=self._rng, device=self.device)[self._own]

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), (rows, *shape)."""
        full = (self._total, *shape)
        return torch.rand(full, generator=self._rng, device=self.device)[self._own]

    def integer(self, high: int) -> int:
        """One number of 0 .. high - 1 for the whole batch, the same on every rank."""
        return int(self._host.integers(high))


def lone_draw(seed: int, total: int, device: torch.device) -> Draw:
    """Random numbers for `total` rows that no other rank shares."""
    return Draw((seed,), total, slice(None), device)


@dataclass(frozen=True)
class Batch:
    """This rank's rows of one step, by name, and its random numbers."""

    rows: Mapping[str, Tensor]
    draw: Draw
    step: int


def picked(seed: int, step: int, batch: int, n: int) -> NDArray[np.int64]:
    """Rows of a global batch: epochs of all n rows, each in its own order, laid end to end."""
    places = np.arange(step * batch, (step + 1) * batch)
    rows = np.empty(batch, np.int64)
    for epoch in np.unique(places // n):
        here = places // n == epoch
        rows[here] = _order(seed, int(epoch), n)[places[here] % n]
    return rows


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 1, epoch]).permutation(n)


class Loader:
    """Batches from `step` on; the next one is fetched by a thread while this one is used.

    examples : arrays in memory or memory-mapped, rows first. What fits is moved to a GPU once.
    waited : seconds in which the caller had to wait for data
    """

    def __init__(self, examples: Mapping[str, Any], seed: int, batch: int, ranks: Ranks) -> None:
        self._seed, self._batch, self._ranks = seed, batch, ranks
        self._own = ranks.share(batch)
        self._arrays = _resident(examples, ranks.device)
        self._n = len(next(iter(self._arrays.values())))
        self.waited = 0.0

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps first .. last - 1."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._fetch, first)
            for step in range(first, last):
                asked = time.perf_counter()
                rows = ahead.result()
                self.waited += time.perf_counter() - asked
                if step + 1 < last:
                    ahead = pool.submit(self._fetch, step + 1)
                draw = Draw((self._seed, 2, step), self._batch, self._own, self._ranks.device)
                yield Batch(rows, draw, step)

    def _fetch(self, step: int) -> dict[str, Tensor]:
        rows = picked(self._seed, step, self._batch, self._n)[self._own]
        index = torch.from_numpy(rows)
        device, found = self._ranks.device, {}
        for name, array in self._arrays.items():
            if isinstance(array, Tensor):
                found[name] = array[index.to(array.device)]
            else:
                found[name] = torch.from_numpy(array[rows])
            if device.type == "cuda" and not found[name].is_cuda:
                found[name] = found[name].pin_memory().to(device, non_blocking=True)
        return found


def _resident(examples: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The arrays, on the GPU if they fit into part of its memory."""
    size = sum(array.nbytes for array in examples.values())
    if device.type != "cuda" or size > _RESIDENT * torch.cuda.mem_get_info(device)[0]:
        return dict(examples)
    return {
        name: (array if isinstance(array, Tensor) else torch.tensor(np.asarray(array))).to(device)
        for name, array in examples.items()
    }
