"""Full simulation that is none is refused before it sets limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import UsageError
from catalog.physics.observables import observe
from catalog.physics.quality import refuse_unphysical
from catalog.physics.validate import compare
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from tests.toys import shower_set

DATA = Path(__file__).parents[2] / "sample_models" / "data"


@pytest.fixture(scope="module")
def showers(tmp_path_factory: pytest.TempPathFactory) -> ShowerSet:
    return shower_set(tmp_path_factory.mktemp("data") / "f.h5", n=200)


def _filled(showers: ShowerSet, share: float) -> ShowerSet:
    energies = showers.energies.copy()
    energies[round(share * len(showers)) :] = 0
    return replace(showers, energies=energies)


def _repeated(showers: ShowerSet, different: int) -> ShowerSet:
    """At the energies of the file, from so many of its showers, scaled to them."""
    rows = np.arange(len(showers)) % different
    scale = (showers.incident_gev / showers.incident_gev[rows]).astype(np.float32)
    return replace(showers, energies=showers.energies[rows] * scale[:, None])


@pytest.mark.parametrize("path", sorted(DATA.glob("*.h5")), ids=lambda path: path.stem)
def test_the_shipped_full_simulation_is_accepted(path: Path) -> None:
    refuse_unphysical(observe(read_showers(path)), path.name)


def test_mostly_empty_showers_are_refused(showers: ShowerSet) -> None:
    with pytest.raises(UsageError, match="170 of its 200 showers are empty"):
        compare({}, _filled(showers, 0.15))


def test_a_few_empty_showers_are_physics(showers: ShowerSet) -> None:
    refuse_unphysical(observe(_filled(showers, 0.9)), "f.h5")


@pytest.mark.parametrize("different", [1, 20, 100, 180])
def test_repeated_showers_are_refused_even_when_rescaled(
    showers: ShowerSet, different: int
) -> None:
    copies = 200 - different
    with pytest.raises(UsageError, match=f"{copies} of its 200 showers have exactly the shape"):
        compare({}, _repeated(showers, different))


def test_showers_of_one_calorimeter_have_shapes_of_their_own(showers: ShowerSet) -> None:
    refuse_unphysical(observe(_repeated(showers, 200)), "f.h5")
