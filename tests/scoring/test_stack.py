"""The stack learns from other targets only, and says how wrong it may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalog.errors import UsageError
from catalog.scoring.stack import FEWEST, Cell, forecast, normal_scores, rank_average, train_stack

NAMES = ("good", "useless")


def cells(seed: int = 0, targets: int = 12, models: int = 10, noise: float = 0.1) -> list[Cell]:
    """ln reached = level of the target (told by `about`) + effect of the model - good score."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=models)
    found = []
    for t in range(targets):
        scores = rng.normal(size=(models, 2))
        level = rng.normal()
        ln = level + 0.3 * effect - 0.3 * scores[:, 0] + noise * rng.normal(size=models)
        names = tuple(f"m{i}" for i in range(models))
        found.append(Cell(f"t{t}", names, scores, np.array([level]), np.exp(ln)))
    return found


def agreement(order: np.ndarray, cell: Cell) -> float:
    return float(np.corrcoef(order, -np.log(cell.reached))[0, 1])


def test_a_trained_stack_orders_an_unseen_target_better_than_ranks() -> None:
    *past, test = cells()
    found = forecast(train_stack(past, NAMES), test)
    assert agreement(found.order, test) > 0.9 > agreement(rank_average(test.scores), test)


def test_what_the_forecast_target_reached_changes_nothing() -> None:
    *past, test = cells()
    stack = train_stack(past, NAMES)
    one = forecast(stack, test)
    other = forecast(stack, replace(test, reached=test.reached[::-1] * 100))
    np.testing.assert_array_equal(one.predicted, other.predicted)


def test_a_model_is_known_by_its_history_and_a_new_one_by_its_scores() -> None:
    *past, test = cells()
    stack = train_stack(past, NAMES)
    seen = forecast(stack, test)
    names = tuple(f"new{i}" for i in range(len(test.models)))
    fresh = forecast(stack, replace(test, models=names))
    np.testing.assert_allclose(fresh.order, normal_scores(test.scores) @ stack.weights)
    assert agreement(seen.order, test) > agreement(fresh.order, test) > 0.4
    assert (fresh.high / fresh.low > seen.high / seen.low).all()


def test_too_few_targets_leave_the_rank_average_and_no_number() -> None:
    *past, test = cells(targets=FEWEST)
    found = forecast(train_stack(past, NAMES), test)
    np.testing.assert_array_equal(found.order, rank_average(test.scores))
    assert np.isnan(found.predicted).all()
    assert np.isfinite(forecast(train_stack([*past, test], NAMES), test).predicted).all()


def test_intervals_hold_the_share_they_say() -> None:
    inside = []
    for seed in range(30):
        *past, test = cells(seed)
        found = forecast(train_stack(past, NAMES), test)
        inside.append(np.mean((found.low < test.reached) & (test.reached < found.high)))
    assert 0.74 < np.mean(inside) < 0.92


def test_a_training_target_is_forecast_without_what_it_reached() -> None:
    """Here a target tells nothing but which one it is: only its own outcomes give its level."""
    past = cells()
    level = np.array([cell.about[0] for cell in past])
    named = [replace(c, about=np.eye(len(past))[t]) for t, c in enumerate(past)]
    usual = np.quantile(np.abs(level - level.mean()), 0.8)
    assert train_stack(named, NAMES).margin > 0.9 * usual


def test_the_interval_of_a_new_model_is_measured_on_models_that_nothing_was_learnt_from() -> None:
    """Here scores tell nothing of a model, and its history everything."""
    effect = np.random.default_rng(1).normal(size=10)
    past = [replace(c, reached=np.exp(effect + 0.01 * c.scores[:, 1])) for c in cells()]
    stack = train_stack(past, NAMES)
    assert stack.fresh_margin > 1.4 * stack.margin


def test_scores_that_are_not_a_models_usual_ones_count_more() -> None:
    """Here a model's usual score says nothing, and how far one target is from it everything."""
    usual, rng, found = 3 * np.random.default_rng(2).normal(size=10), np.random.default_rng(3), []
    for cell in cells(targets=16):
        unlike = rng.normal(size=10)
        scores = np.stack([usual + unlike, cell.scores[:, 1]], axis=1)
        found.append(replace(cell, scores=scores, reached=np.exp(-unlike)))
    stack = train_stack(found[:-1], NAMES)
    without = replace(stack, moved=np.zeros(2))
    gain = [agreement(forecast(x, found[-1]).order, found[-1]) for x in (stack, without)]
    assert gain[0] > gain[1] + 0.02


def test_intervals_widen_with_noise() -> None:
    widths = []
    for noise in (0.05, 0.3, 1.0):
        *past, test = cells(noise=noise)
        found = forecast(train_stack(past, NAMES), test)
        widths.append(np.log(found.high / found.low)[0])
    assert widths[0] < widths[1] < widths[2]


def test_no_unit_of_a_score_and_no_order_of_models_matters() -> None:
    *past, test = cells()
    plain = forecast(train_stack(past, NAMES), test)
    turned = [replace(c, scores=c.scores * [1000, 0.1] + [7, -3]) for c in (*past, test)]
    other = forecast(train_stack(turned[:-1], NAMES), turned[-1])
    np.testing.assert_allclose(other.predicted, plain.predicted)
    back = slice(None, None, -1)
    mirrored = replace(test, models=test.models[back], scores=test.scores[back], reached=None)
    found = forecast(train_stack(past, NAMES), mirrored).predicted
    np.testing.assert_allclose(found[back], plain.predicted)


def test_unknown_scores_and_outcomes_are_left_out() -> None:
    *past, test = cells()
    holes = [
        replace(c, scores=np.where(np.arange(10)[:, None] % 5 == i % 5, np.nan, c.scores),
                reached=np.where(np.arange(10) % 3 == i % 3, np.nan, c.reached))
        for i, c in enumerate(past)
    ]  # fmt: skip
    found = forecast(train_stack(holes, NAMES), test)
    assert np.isfinite(found.predicted).all()
    assert agreement(found.order, test) > 0.7


def test_a_target_with_two_outcomes_orders_nothing_but_is_no_error() -> None:
    past = cells()
    two = [replace(c, reached=np.where(np.arange(10) < 2, c.reached, np.nan)) for c in past]
    assert not train_stack(two, NAMES).trained


def test_rank_average_puts_the_unknown_in_the_middle() -> None:
    scores = np.array([[1.0, 5.0], [2.0, np.nan], [3.0, 6.0]])
    assert list(np.argsort(rank_average(scores))) == [0, 1, 2]
    assert rank_average(np.full((4, 2), np.nan)) == pytest.approx(5 / 8)


def test_a_cell_that_does_not_fit_the_names_is_refused() -> None:
    past = cells()
    with pytest.raises(UsageError, match="t0.*10 models, 3 names"):
        train_stack(past, ("a", "b", "c"))
    with pytest.raises(UsageError, match="0 outcomes"):
        train_stack([replace(past[0], reached=None)], NAMES)
