"""Scores: one number for (model, target), by name; higher is always better.

Nothing is imported before `load_score`. The kind of a score says what it is given:

    showers    f(generated (n, F), target (m, F)): observables of both sets of showers
    fit        f(on_target (m,), on_own (n,)): the scorer graph on the target's and its own showers
    gram       f(Spectrum): one Gram pass over features and labels, `catalog.scoring.scores.gram`
    labels     f(features (n, d), targets (n,) or (n, T)): what needs the rows again
    baselines  what any score has to beat; their arguments differ
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

from catalog.errors import NotFound

Kind = Literal["showers", "fit", "gram", "labels", "baselines"]

SCORES: Mapping[Kind, Mapping[str, str]] = MappingProxyType(
    {
        "showers": {
            "c2st": "c2st:c2st",
            "coverage": "neighbours:coverage",
            "energy": "energy:energy",
            "fidelity": "neighbours:fidelity",
            "frechet": "frechet:frechet",
            "kpd": "kpd:kpd",
            "mmd_poly3": "mmd:mmd_poly3",
            "mmd_rbf": "mmd:mmd_rbf",
            "rkme": "rkme:rkme",
            "sliced_w1": "sliced_w1:sliced_w1",
            "w1_geomean": "w1_geomean:w1_geomean",
        },
        "fit": {
            "critic_fit": "critic_fit:critic_fit",
            "likelihood_fit": "likelihood_fit:likelihood_fit",
        },
        "gram": {
            "h_score": "h_score:h_score",
            "logme": "logme:logme",
            "shrunk_h_score": "h_score:shrunk_h_score",
        },
        "labels": {
            "gbc": "gbc:gbc",
            "knn": "knn:knn",
            "leep": "leep:leep",
            "loo_ridge": "loo_ridge:loo_ridge",
            "nleep": "nleep:nleep",
            "transrate": "transrate:transrate",
        },
        "baselines": {
            "metadata": "baselines:metadata",
            "parameters": "baselines:parameters",
            "popularity": "baselines:popularity",
            "random": "baselines:random",
            "self_quality": "baselines:self_quality",
        },
    }
)


def load_score(name: str) -> Callable[..., Any]:
    """The function behind a name.

    Raises
    ------
    NotFound
        There is no such score; lists those that there are.
    """
    paths = {key: path for named in SCORES.values() for key, path in named.items()}
    if name not in paths:
        raise NotFound(f"no score {name!r}", f"one of: {', '.join(sorted(paths))}")
    module, _, function = paths[name].partition(":")
    found: Callable[..., Any] = getattr(import_module(f"{__name__}.{module}"), function)
    return found
