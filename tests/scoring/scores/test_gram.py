"""One pass, merged passes and the order of rows give the same sums; bad rows are named."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import UsageError
from catalog.scoring.scores.gram import Gram, gram, merge, shrinkage, spectrum


def rows(seed: int, n: int, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-2, 2, d) + 100 * rng.normal(size=d)
    return x, x @ rng.normal(size=(d, 2)) + rng.normal(size=(n, 2))


def same(one: Gram, other: Gram, rel: float = 1e-9) -> None:
    for field in fields(Gram):
        found, wanted = getattr(one, field.name), getattr(other, field.name)
        scale = np.abs(wanted).max() if field.name != "cubes" else one.fourth**0.75
        np.testing.assert_allclose(found, wanted, rtol=rel, atol=rel * scale, err_msg=field.name)


def test_sums_are_what_their_names_say() -> None:
    x, y = rows(1, 30)
    found, c, e = gram(x, y), x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm(c, axis=1)
    wanted = {
        "n": 30, "mean": x.mean(0), "target_mean": y.mean(0), "xx": c.T @ c, "xy": c.T @ e,
        "yy": (e**2).sum(0), "cubes": (norm**2) @ c, "fourth": (norm**4).sum(),
        "eps": np.finfo(float).eps,
    }  # fmt: skip
    same(found, Gram(**wanted), 1e-10)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(2, 40), min_size=2, max_size=4))
def test_merged_passes_are_one_pass(seed: int, sizes: list[int]) -> None:
    x, y = rows(seed, sum(sizes))
    x[: sizes[0]] += 1000  # the parts' means lie far apart
    ends = np.cumsum(sizes)
    parts = [gram(x[e - n : e], y[e - n : e]) for e, n in zip(ends, sizes, strict=True)]
    whole = parts[0]
    for part in parts[1:]:
        whole = merge(whole, part)
    same(whole, gram(x, y), 1e-8)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(2, 50)
    whole = gram(x, y)
    monkeypatch.setattr("catalog.scoring.scores.gram._BLOCK", 7)
    same(gram(x, y), whole)


def test_single_precision_is_right_to_its_rounding() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(5000, 20)) + 3, rng.normal(size=(5000, 2))
    half, full = gram(x, y, np.float32), gram(x, y)
    np.testing.assert_allclose(half.xx, full.xx, atol=3e-6 * full.xx.max())
    assert half.fourth == pytest.approx(full.fourth, rel=1e-6)
    assert half.eps > 1e8 * full.eps


def test_classes_may_have_any_names_and_order() -> None:
    x = rows(4, 12)[0]
    labels = np.array(["pion", "photon", "electron"] * 4)
    named, numbered = gram(x, labels), gram(x, np.array([2, 1, 0] * 4))
    same(named, numbered)
    assert named.target_mean == pytest.approx(np.full(3, 1 / 3))


def test_a_spectrum_has_the_rank_of_its_features() -> None:
    rng = np.random.default_rng(5)
    for n, d, rank in ((40, 8, 8), (6, 8, 5), (40, 8, 3)):
        x = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) if rank < 5 else None
        x = rng.normal(size=(n, d)) if x is None else x
        for precision in (np.float64, np.float32):
            assert (spectrum(gram(x, x[:, 0], precision)).values > 0).sum() == rank


def test_shrinkage_is_that_of_ledoit_and_wolf() -> None:
    """Their sum over rows, b^2 = 1/n^2 sum |x x^T - S|^2, written out."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(25, 4)) * [1, 2, 3, 4]
    c = x - x.mean(0)
    s = c.T @ c / 25
    m = np.trace(s) / 4
    spread = np.sum((s - m * np.eye(4)) ** 2) / 4
    noise = np.mean([np.sum((np.outer(row, row) - s) ** 2) for row in c]) / 25 / 4
    weight, mean = shrinkage(spectrum(gram(x, np.arange(25.0))))
    assert weight == pytest.approx(min(noise, spread) / spread, rel=1e-9)
    assert mean == pytest.approx(m, rel=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.ones((1, 3)), [1.0], "1 row(s)"),
        (np.ones(3), np.ones(3), "two rows"),
        (np.ones((4, 2)), np.ones(3), "one target for each"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), np.ones(2), "column 1"),
        (np.ones((2, 2)), np.array([1.0, np.inf]), "targets: column 0"),
    ],
)
def test_bad_rows_are_refused_with_a_reason(x, y, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        gram(x, y)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_grams_of_other_features_do_not_merge() -> None:
    x, y = rows(7, 10)
    with pytest.raises(UsageError, match="features and targets"):
        merge(gram(x, y), gram(x[:, :3], y))
