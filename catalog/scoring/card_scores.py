"""What a version's own files tell of it, before it is run: scores by name, higher is better."""

from __future__ import annotations

import math

from catalog.adapt.family import CHECKPOINT_FILE
from catalog.errors import CatalogError
from catalog.fingerprint import FINGERPRINT_FILE, nearness, read_kept
from catalog.pull import Pulled
from catalog.scoring.scores.baselines import self_quality
from catalog.showers import ShowerSet

CARD_SCORES = ("self_quality", "n_train", "parameters", "particle")


def card_scores(pulled: Pulled, target: ShowerSet) -> dict[str, float]:
    """`CARD_SCORES` of one version; NaN where it does not tell.

    self_quality : -ln w1_geomean of its own showers to those of its own detector
    n_train : ln of the showers that trained it
    parameters : ln of the number of parameters of its checkpoint
    particle : 1 if it was trained on the target's own particle (not its antiparticle), else 0
    """
    training = pulled.card.training
    return {
        "self_quality": _self_quality(pulled),
        "n_train": math.log(training.showers) if training and training.showers else math.nan,
        "parameters": _parameters(pulled),
        "particle": float(target.pdg in pulled.card.domain.particles),
    }


def _self_quality(pulled: Pulled) -> float:
    """From the fingerprint, else from the last validation on the model's own detector."""
    near = _to_own_data(pulled)
    if near is None:
        own = ("", pulled.card.domain.detector.name)
        told = [r.metrics.get("w1_geomean") for r in pulled.card.physics if r.detector in own]
        near = next((value for value in reversed(told) if value), None)
    return math.nan if near is None else float(self_quality([near])[0])


def _to_own_data(pulled: Pulled) -> float | None:
    path = pulled.folder / FINGERPRINT_FILE
    if not path.is_file():
        return None
    try:
        kept = read_kept(path)
    except CatalogError:
        return None
    if not (kept.samples and kept.data):
        return None
    near = nearness(kept.samples, kept.data).w1_geomean
    return near if math.isfinite(near) else None


def _parameters(pulled: Pulled) -> float:
    from safetensors import SafetensorError, safe_open

    path = pulled.folder / CHECKPOINT_FILE
    if not path.is_file():
        return math.nan
    try:
        with safe_open(path, "np") as file:  # reads the header only
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    except (SafetensorError, OSError):
        return math.nan
    return math.log(max(sum(math.prod(shape) for shape in shapes), 1))
