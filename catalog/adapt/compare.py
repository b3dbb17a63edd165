"""Was adapting worth it? Before, adapted and from scratch, on showers that none has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalog.adapt.adapt import unseen
from catalog.physics.distances import w1_per_observable
from catalog.physics.validate import REFERENCE, Comparison
from catalog.physics.validate import compare as compare_models
from catalog.pull import Pulled, read_folder
from catalog.seen import refuse_seen
from catalog.showers import ShowerSet

BEFORE, AFTER, SCRATCH = "before adapting", "adapted", "from scratch"


@dataclass(frozen=True)
class Gain:
    """w1_geomean on unseen showers, and what it is made of.

    w1 : {label: value};  floor : full simulation against full simulation at the same n
    per_observable : {label: {observable: W1 in spreads of the reference}}, the floor included
    """

    n: int
    w1: dict[str, float]
    floor: float
    per_observable: dict[str, dict[str, float]]
    comparison: Comparison


def compare(
    parent: Pulled,
    adapted: Path,
    target: ShowerSet,
    *,
    showers: int,
    scratch: Path | None = None,
    seed: int = 0,
) -> Gain:
    """Generate with all of them, through ONNX Runtime, at the energies of the unseen showers.

    "Before" is the parent as published: only the two known sampling fractions are exchanged, and
    its mesh in X0 and R_M is laid into the target.
    """
    models = {BEFORE: parent, AFTER: read_folder(adapted)}
    if scratch is not None:
        models[SCRATCH] = read_folder(scratch)
    rest = unseen(target, showers)
    refuse_seen(models, rest, showers)
    found = compare_models(models, rest, seed)
    reference = found.observables[REFERENCE]
    samples = {label: found.observables[label].values for label in models}
    samples["floor"] = found.floor_observables.values
    return Gain(
        n=found.n,
        w1={label: found.metrics[label]["w1_geomean"] for label in models},
        floor=found.floor["w1_geomean"],
        per_observable={
            label: dict(
                zip(
                    reference.names,
                    np.round(w1_per_observable(values, reference.values), 4).tolist(),
                    strict=True,
                )
            )
            for label, values in samples.items()
        },
        comparison=found,
    )
