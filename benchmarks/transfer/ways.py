"""Ways to order models: every score alone, every baseline, and stacks of scores. By name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from benchmarks.transfer.protocol import Learn
from benchmarks.transfer.stored import PROBES, Truth
from catalog.scoring.card_scores import CARD_SCORES
from catalog.scoring.order import RANKED
from catalog.scoring.scores import SCORES
from catalog.scoring.scores.arrays import Array
from catalog.scoring.scores.baselines import metadata, popularity, random
from catalog.scoring.stack import (
    PENALTY,
    Cell,
    Stack,
    forecast,
    normal_scores,
    rank_average,
    train_stack,
)

FIT = ("median_fit", "aligned_median_fit")
BY_FINGERPRINT = ("fp_samples_w1", "fp_samples_frechet", "fp_data_w1", "fp_data_frechet")
ALIGNED = ("aligned_w1_geomean", "aligned_frechet", "aligned_energy", "aligned_sliced_w1")
CALIBRATED = tuple(name.replace("aligned", "calibrated") for name in ALIGNED)
ABOUT = (*CARD_SCORES, "metadata", "flow")
# What `catalog recommend` orders by; here `fit` is one of several.
FEW = tuple("median_fit" if name == "fit" else name for name in RANKED)
# What the stack used while it knew 168 runs of one family.
FIRST = ("median_fit", "aligned_w1_geomean", "metadata", "self_quality", "n_train")
PLAIN = tuple(SCORES["showers"])
MAIN = (*PLAIN, "likelihood_fit", *FIT, *ALIGNED, *BY_FINGERPRINT, *ABOUT)
BASELINES = ("random", "popularity", *ABOUT)


@dataclass(frozen=True)
class Way:
    """How to order. `tier`: main, calibrated (needs torch, no gradient) or probe (gradients).

    columns : scores it uses, and so all that the cells given to `learn` hold
    """

    columns: tuple[str, ...]
    learn: Learn
    tier: str = "main"


def table(truth: Truth, columns: Sequence[str]) -> Array:
    """Scores by name, also what cards and early points of runs tell: (S, T, D, M, len(columns))."""
    shape = truth.reached.shape
    return np.stack([_column(truth, name, shape) for name in columns], axis=-1)


def _column(truth: Truth, name: str, shape: tuple[int, ...]) -> Array:
    if name in truth.names:
        found: Array = truth.scores[..., list(truth.names).index(name)]
        return found
    if name.startswith("probe_"):
        return -np.log(truth.probe[..., PROBES.index(int(name[6:]))])
    if name == "metadata":
        rows = [metadata(truth.source_geometry, target) for target in truth.target_geometry]
        return np.broadcast_to(np.array(rows)[None, :, None], shape)
    cards: Mapping[str, Callable[[], Array]] = {
        "self_quality": lambda: -np.log(truth.self_w1),
        "n_train": lambda: np.log(truth.n_train),
        "parameters": lambda: np.log(truth.parameters),
        "flow": lambda: (truth.family == "flow").astype(float),
    }
    if name == "particle":
        own = np.isin(truth.source_pdg, 0) | (truth.source_pdg == truth.target_pdg[:, None])
        return np.broadcast_to(own[None, :, None].astype(float), shape)
    return np.broadcast_to(cards[name](), shape)


def ways(truth: Truth) -> dict[str, Way]:
    """All of them: baselines, single scores, the stack, and what was tried for it."""
    found = {name: Way((name,), _alone) for name in (*truth.names, *ABOUT)}
    for name in CALIBRATED:
        found[name] = Way((name,), _alone, "calibrated")
    for step in PROBES[1:]:
        found[f"probe_{step}"] = Way((f"probe_{step}",), _alone, "probe")
    found["random"] = Way(("w1_geomean",), _random)
    found["popularity"] = Way(("w1_geomean",), _popular)
    found["rank_average"] = Way(("w1_geomean", "median_fit"), _ranks)
    found["rank_average_few"] = Way(FEW, _ranks)
    found["rank_average_calibrated"] = Way((*FEW, "calibrated_energy"), _ranks, "calibrated")
    return {**found, **stacks()}


def stacks() -> dict[str, Way]:
    """The stack (`stack`), and what was tried for it."""
    return {
        "stack": Way(FEW, stacked()),
        "stack_all_scores": Way(MAIN, stacked()),
        "stack_published_scores": Way((*PLAIN, "likelihood_fit"), stacked()),
        "stack_no_history": Way(FEW, stacked(history=False)),
        "stack_loose": Way(FEW, stacked(penalty=5.0)),
        "stack_cards_only": Way(ABOUT, stacked()),
        "stack_fingerprints": Way((*BY_FINGERPRINT, "fp_vector", *ABOUT), stacked()),
        "stack_with_ranks": Way(FEW, _with_ranks),
        "stack_calibrated": Way((*FEW, *CALIBRATED[1:3]), stacked(), "calibrated"),
        "stack_probe": Way((*FEW, "calibrated_energy", "probe_10", "probe_40"), stacked(), "probe"),
        "stack_first": Way(FIRST, stacked()),
        "stack_no_fit": Way(FEW[1:], stacked()),
        "stack_no_parameters": Way(tuple(x for x in FEW if x != "parameters"), stacked()),
    }


def stacked(penalty: float = PENALTY, history: bool = True) -> Learn:
    """Train on cells and forecast; without `history` as if nobody knew the models."""

    def learn(cells: Sequence[Cell]) -> Callable[[Cell], Array]:
        stack = fit(cells, penalty)
        if not history:
            stack = stack.forgetting()
        return lambda cell: forecast(stack, cell).order

    return learn


def _with_ranks(cells: Sequence[Cell]) -> Callable[[Cell], Array]:
    """Half the stack, half the untrained rank average of its three scores."""
    learnt = stacked()(cells)

    def order(cell: Cell) -> Array:
        both = np.column_stack([learnt(cell), rank_average(cell.scores)])
        found: Array = normal_scores(both).sum(1)
        return found

    return order


def fit(cells: Sequence[Cell], penalty: float = PENALTY, intervals: bool = False) -> Stack:
    """The stack that cells give."""
    names = [str(i) for i in range(cells[0].scores.shape[1])] if cells else []
    return train_stack(cells, names, penalty, intervals)


def _alone(_: Sequence[Cell]) -> Callable[[Cell], Array]:
    return lambda cell: cell.scores[:, 0]


def _ranks(_: Sequence[Cell]) -> Callable[[Cell], Array]:
    return lambda cell: rank_average(cell.scores)


def _random(_: Sequence[Cell]) -> Callable[[Cell], Array]:
    return lambda cell: random(len(cell.models), seed=crc32(repr(cell.scores).encode()))


def _popular(cells: Sequence[Cell]) -> Callable[[Cell], Array]:
    """Shrunk mean standing in training; models never seen are alike."""
    models = sorted({model for cell in cells for model in cell.models})
    targets = sorted({cell.target for cell in cells})
    total, seen = np.zeros((2, len(models), len(targets)))
    for cell in cells:
        rows = [models.index(model) for model in cell.models]
        ln = -np.log(np.asarray(cell.reached))
        standing = (ln - ln.mean()) / max(float(ln.std()), 1e-12)
        total[rows, targets.index(cell.target)] += standing
        seen[rows, targets.index(cell.target)] += 1
    z = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
    known = popularity(z, []) if models else []
    standing_of = dict(zip(models, known, strict=True))
    return lambda cell: np.array([standing_of.get(model, 0.0) for model in cell.models])
