"""Recipes at work: what is frozen stays, what is added is merged, what is pulled stays near."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from catalog.adapt.family import Trained  # noqa: E402
from catalog.adapt.recipe import Lora, Recipe, load_recipe, recipe_names  # noqa: E402
from catalog.errors import UsageError  # noqa: E402
from sample_models.batches import Batch  # noqa: E402
from sample_models.learner import Player, choose_trained  # noqa: E402
from sample_models.lora import add_lora, merge_lora  # noqa: E402
from tests.sample_models.toy_learner import Toy, ToyLearner, parent, run  # noqa: E402

PARAMETERS = {name for name, _ in Toy().named_parameters()}


def last_is_best() -> Any:
    """A judge that likes every step better than the one before."""
    scores = iter(range(0, -1000, -1))
    return lambda _: float(next(scores))


def trained(recipe: Recipe) -> Trained:
    return run(recipe, steps=6, judge=last_is_best())


def moved(done: Trained) -> set[str]:
    """Parameters that are no longer the parent's."""
    start, end = parent().weights, done.checkpoint.weights
    return {name for name in PARAMETERS if not np.array_equal(start[name], end[name])}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(), PARAMETERS),
        (Recipe(strategy="bitfit"), {name for name in PARAMETERS if name.endswith("bias")}),
        (Recipe(strategy="heads"), {n for n in PARAMETERS if n.startswith(("embed", "head"))}),
        (
            Recipe(strategy="top-k", top_k=1),
            {n for n in PARAMETERS if n.startswith(("head", "norm", "blocks.1"))},
        ),
        (Recipe(embedder_lr=0), {n for n in PARAMETERS if not n.startswith("embed")}),
        (
            Recipe(strategy="bitfit", reinitialize=("head",)),
            {n for n in PARAMETERS if n.endswith("bias")} | {"head.weight"},
        ),
    ],
    ids=["full", "bitfit", "heads", "top-k", "no embedder", "new head"],
)
def test_a_recipe_moves_what_it_names_and_nothing_else(recipe: Recipe, expected: set[str]) -> None:
    done = trained(recipe)
    assert moved(done) == expected
    sizes = {name: p.numel() for name, p in Toy().named_parameters()}
    assert done.share == pytest.approx(sum(sizes[n] for n in expected) / sum(sizes.values()))


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    class Normed(ToyLearner):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.module.norm = nn.BatchNorm1d(8)

    frozen, free = (
        run(recipe, steps=6, learner=Normed, judge=last_is_best()).checkpoint.weights
        for recipe in (Recipe(strategy="heads"), Recipe())
    )
    for name, start in (("norm.running_mean", 0), ("norm.running_var", 1)):
        assert (frozen[name] == start).all()
        assert (free[name] != start).all()


def test_lora_moves_matrices_by_a_low_rank_only() -> None:
    done = trained(Recipe(strategy="lora", lora=Lora(rank=2, alpha=4)))
    matrices = {f"{layer}.weight" for layer in ("embed", "blocks.0", "blocks.1", "head")}
    assert moved(done) == matrices
    start, end = parent().weights, done.checkpoint.weights
    assert set(end) == set(start)
    for name in matrices:
        assert np.linalg.matrix_rank(end[name] - start[name], tol=1e-5) <= 2


def test_merged_lora_gives_the_same_answers() -> None:
    torch.manual_seed(0)
    module, x = Toy().eval(), torch.randn(5, 3)
    before = module(x)
    added = add_lora(module, Lora(rank=2, alpha=4), keep={"head.weight"})
    assert len(added) == 2 * 3
    torch.testing.assert_close(module(x), before)
    for parameter in added:
        nn.init.normal_(parameter)
    unmerged, start = module(x), Toy().state_dict()
    layer = module.embed.parametrizations.weight
    update = 4 / 2 * layer[0].b @ layer[0].a
    torch.testing.assert_close(module.embed.weight - layer.original, update)
    merge_lora(module)
    assert set(module.state_dict()) == set(start)
    torch.testing.assert_close(module(x), unmerged)
    assert not torch.allclose(unmerged, before)


def test_a_part_that_starts_afresh_has_none_of_the_parents_weights() -> None:
    class Standing(ToyLearner):
        rate = 1e-12

    again = run(Recipe(reinitialize=("head",)), steps=1, learner=Standing)
    start, end = parent().weights, again.checkpoint.weights
    assert not np.allclose(start["head.weight"], end["head.weight"], atol=1e-3)
    np.testing.assert_allclose(start["embed.weight"], end["embed.weight"], atol=1e-6)


def test_a_pull_to_the_parent_keeps_the_weights_nearer() -> None:
    def way(recipe: Recipe) -> float:
        start, end = parent().weights, run(recipe, judge=last_is_best()).checkpoint.weights
        return float(sum(((start[n] - end[n]) ** 2).sum() for n in PARAMETERS))

    assert way(Recipe(l2sp=10.0)) < 0.5 * way(Recipe())


def test_parts_have_learning_rates_of_their_own() -> None:
    learner = ToyLearner(parent(), _plan(Recipe()))
    recipe = Recipe(backbone_lr=1e-3, head_lr=5e-3, embedder_lr=2e-3)
    chosen, _ = choose_trained(learner, recipe)
    groups = chosen[""].optimiser.param_groups
    assert {g["base"]: sum(p.numel() for p in g["params"]) for g in groups} == {
        1e-3: 2 * (64 + 8) + 16,
        2e-3: 24 + 8,
        5e-3: 32 + 4,
    }


def test_a_recipe_that_trains_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="trains no parameter"):
        trained(Recipe(backbone_lr=0, head_lr=0, embedder_lr=0))


def test_every_shipped_recipe_trains_something_of_every_kind_of_model() -> None:
    for name in recipe_names():
        assert trained(load_recipe(name)).share > 0, name


class Adversarial(ToyLearner):
    """A generator and a critic of two blocks, stepped in turn."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.module = nn.ModuleDict({"generator": self.module, "critic": critic})
        self.players: Mapping[str, Player] = {
            "critic": Player("critic.", rate=2.0),
            "generator": Player("generator."),
        }
        self.order: list[str] = []

    def part_of(self, parameter: str) -> str:
        own, _, rest = parameter.partition(".")
        return f"critic.{int(rest[0]) // 2}" if own == "critic" else super().part_of(rest)

    def losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        generator, critic = self.module["generator"], self.module["critic"]
        before = critic[2].weight.clone()
        fake = generator(batch.rows["x"])
        yield "critic", (critic(fake.detach()) - critic(batch.rows["y"])).mean()
        self.order.append("stepped" if not torch.equal(critic[2].weight, before) else "not")
        held = [p.clone() for p in critic.parameters()]
        yield "generator", -critic(fake).mean()
        assert all(map(torch.equal, held, critic.parameters()))

    def sample(self, device: torch.device) -> Tensor:
        return self.module["generator"](torch.ones(4, 3))


def test_players_step_in_turn_each_with_its_own_parameters() -> None:
    made: list[Adversarial] = []

    class Watched(Adversarial):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    run(Recipe(), steps=3, learner=Watched, judge=last_is_best())
    assert made[0].order == ["stepped"] * 3


def test_freezing_the_discriminator_keeps_its_lower_blocks() -> None:
    ends = [
        run(Recipe(freeze_discriminator=k), steps=3, learner=Adversarial, judge=last_is_best())
        for k in (0, 1)
    ]
    free, frozen = (end.checkpoint.weights for end in ends)
    start = {name: value for name, value in frozen.items() if name.startswith("critic.0")}
    assert start
    assert all(not np.array_equal(free[name], frozen[name]) for name in start)
    assert not np.array_equal(free["critic.2.weight"], frozen["critic.2.weight"])
    assert ends[1].share < ends[0].share


def _plan(recipe: Recipe) -> Any:
    from catalog.adapt.family import Plan

    return Plan(recipe, 1)
