"""Was adapting worth it? Before, adapted and from scratch, on showers that none has seen."""

from __future__ import annotations

from catalog.adapt.adapt import unseen
from catalog.physics.validate import Comparison
from catalog.physics.validate import compare as compare_models
from catalog.pull import Pulled
from catalog.seen import refuse_seen
from catalog.showers import ShowerSet

BEFORE, AFTER, SCRATCH = "before adapting", "adapted", "from scratch"


def compare(
    parent: Pulled,
    adapted: Pulled,
    target: ShowerSet,
    *,
    showers: int,
    scratch: Pulled | None = None,
    seed: int = 0,
) -> Comparison:
    """Generate with all of them, through ONNX Runtime, at the energies of the unseen showers.

    "Before" is the parent as published: only the two known sampling fractions are exchanged, and
    its mesh in X0 and R_M is laid into the target.

    Raises
    ------
    UsageError
        Too few showers are left after the first `showers`, or one of the models has seen them.
    """
    models = {BEFORE: parent, AFTER: adapted}
    if scratch is not None:
        models[SCRATCH] = scratch
    rest = unseen(target, showers)
    refuse_seen(models, rest, showers, "--showers")
    return compare_models(models, rest, seed)
