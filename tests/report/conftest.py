"""Small shower sets with known shapes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from catalog.physics.observables import Observables
from catalog.report.canvas import Plot
from catalog.report.plots import Scene, profile_plots

MakeSet = Callable[..., Observables]


def _make_set(n: int, seed: int = 0, scale: float = 1.0) -> Observables:
    """`n` gamma-like showers whose response is about `scale`."""
    rng = np.random.default_rng(seed)
    depth = np.arange(25.0) + 0.5
    profile = depth**2 * np.exp(-0.5 * depth)
    longitudinal = scale * profile / profile.sum() * rng.gamma(50, 1 / 50, (n, 25))
    total = longitudinal.sum(1, keepdims=True)
    radial = total * np.array([0.6, 0.25, 0.1, 0.04, 0.01]) * rng.gamma(50, 1 / 50, (n, 5))
    energies = np.exp(rng.uniform(0, np.log(100), n))
    cells = 10 ** rng.uniform(-4.6, -1.5, 40 * n)
    return Observables(("response",), total, energies, longitudinal, radial, cells)


@pytest.fixture(scope="session")
def make_set() -> MakeSet:
    return _make_set


@pytest.fixture(scope="session")
def reference() -> Observables:
    return _make_set(400)


@pytest.fixture(scope="session")
def sets(reference: Observables) -> dict[str, Observables]:
    return {"full simulation": reference, "model@1": _make_set(300, 1, 1.05)}


@pytest.fixture(scope="session")
def drawn(sets: dict[str, Observables]) -> dict[str, Plot]:
    """All profile plots of `sets`, drawn once."""
    return profile_plots(Scene(sets))
