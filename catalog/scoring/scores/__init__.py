"""Scores: one number for (model, target), by name; higher is always better.

Each is an entry point of the group `catalog.scores`, ours like anybody else's. Nothing is imported
before `load_score`. The kind of a score says what it is given:

    showers    f(generated (n, F), target (m, F)): observables of both sets of showers
    fit        f(on_target (m,), on_own (n,)): the scorer graph on the target's and its own showers
    gram       f(Spectrum): one Gram pass over features and labels, `catalog.scoring.scores.gram`
    labels     f(features (n, d), targets (n,) or (n, T)): what needs the rows again
    baselines  what any score has to beat; their arguments differ
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from catalog.plugins import load_plugin

Kind = Literal["showers", "fit", "gram", "labels", "baselines"]

# Ours, of which the benchmark is made; somebody else's are not listed.
SCORES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "showers": (
            "c2st",
            "coverage",
            "energy",
            "fidelity",
            "frechet",
            "kpd",
            "mmd_poly3",
            "mmd_rbf",
            "rkme",
            "sliced_w1",
            "w1_geomean",
        ),
        "fit": (
            "critic_fit",
            "likelihood_fit",
        ),
        "gram": (
            "h_score",
            "logme",
            "shrunk_h_score",
        ),
        "labels": (
            "gbc",
            "knn",
            "leep",
            "loo_ridge",
            "nleep",
            "transrate",
        ),
        "baselines": (
            "metadata",
            "parameters",
            "popularity",
            "random",
            "self_quality",
        ),
    }
)


@cache
def load_score(name: str) -> Callable[..., Any]:
    """The function behind a name.

    Raises
    ------
    NotFound
        There is no such score; lists those that there are.
    MissingExtra
        What it imports is not installed.
    """
    found: Callable[..., Any] = load_plugin(
        "scores",
        name,
        what="score",
        extra="cpu",
        hint="give one of these; after an upgrade, install again: pip install -e .",
    )
    return found
