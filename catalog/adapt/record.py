"""From a finished run to its record in the adaptation log, and to what the user is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from catalog.adapt.adapt import AdaptResult
from catalog.adapt.compare import AFTER, BEFORE, SCRATCH
from catalog.adapt.log import Adaptation, append_log
from catalog.fingerprint.vector import vector_of
from catalog.fingerprint.version import of_training
from catalog.index import open_index
from catalog.manifest import build_manifest
from catalog.physics.observables import observe
from catalog.physics.present import metrics_table
from catalog.physics.validate import Comparison
from catalog.publish import publish
from catalog.pull import Pulled
from catalog.scoring.probe import probe
from catalog.scoring.targets import about
from catalog.settings import Settings
from catalog.showers import ShowerSet
from catalog.stores import open_named


@dataclass(frozen=True)
class Finished:
    """An adaptation, its scratch rival if one was trained, and both beside the parent."""

    parent: Pulled
    target: ShowerSet
    adapted: AdaptResult
    scratch: AdaptResult | None
    gain: Comparison

    @property
    def helped(self) -> bool:
        """Whether the adapted model is nearer to the target than its parent was."""
        return self.gain.w1[AFTER] < self.gain.w1[BEFORE]


def keep(
    done: Finished, settings: Settings, publish: bool, say: Callable[[str], None]
) -> str | None:
    """Record what was done; if `publish`, and it helped, also publish the child: its reference.

    Raises
    ------
    CheckFailed, StoreError, NotAuthorised
    """
    append_log(settings.home, records(done))
    return publish_child(done, settings, say) if publish else None


def records(done: Finished) -> list[Adaptation]:
    """The runs as the log keeps them."""
    used = done.target.part(0, done.adapted.showers)
    start = probe(done.parent, used, observe(used), done.adapted.seed)
    run = _record(done, done.adapted, done.gain.w1[AFTER], start.zero_shot)
    runs = [replace(run, scores=start.known)]
    if done.scratch:
        runs.append(_record(done, done.scratch, done.gain.w1[SCRATCH], None))
    return [replace(run, **_fingerprint(used)) for run in runs]


def _fingerprint(used: ShowerSet) -> dict[str, Any]:
    """What the log keeps of the showers adapted on."""
    taken = of_training(used)
    vector = vector_of(taken) if taken else None
    if taken is None or vector is None:
        return {}
    short = tuple(float(f"{value:.6g}") for value in vector)
    return {"target_fingerprint": taken.digest, "target_vector": short}


def publish_child(done: Finished, settings: Settings, say: Callable[[str], None]) -> str | None:
    """Publish the adapted version, with its lineage, if it is better than its parent.

    Returns its reference; None if the parent is kept.

    Raises
    ------
    CheckFailed, StoreError, NotAuthorised
    """
    if not done.helped:
        return None
    with open_index(settings) as index:
        store = open_named(settings.store)
        made = publish(done.adapted.folder, store, settings.store, index, say)
    return f"{made.version.name}@{made.version.version}"


def as_dict(done: Finished, published: str | None = None) -> dict[str, Any]:
    """The JSON of `catalog adapt`; `published` is the child's reference, if it was published."""
    gain = done.gain
    return {
        "parent": done.parent.ref,
        "parent_digest": done.parent.digest,
        "name": done.adapted.card.name,
        "folder": str(done.adapted.folder),
        "digest": build_manifest(done.adapted.folder).digest,
        "target": {"data": done.target.source, "detector": done.target.detector.name},
        "metric": "w1_geomean",
        "recipe": done.adapted.recipe.name,
        "trained_share": round(done.adapted.run.share, 4),
        "showers": done.adapted.showers,
        "steps": done.adapted.steps,
        "steps_done": done.adapted.run.steps,
        "best_step": done.adapted.run.best,
        "stopped": done.adapted.run.stopped,
        "seed": done.adapted.seed,
        "n": gain.n,
        "before": gain.w1[BEFORE],
        "adapted": gain.w1[AFTER],
        "scratch": gain.w1.get(SCRATCH),
        "floor": gain.floor["w1_geomean"],
        "seconds": done.adapted.seconds,
        "scratch_seconds": done.scratch.seconds if done.scratch else None,
        "device": done.adapted.run.device,
        "energy_kwh": done.adapted.energy_kwh,
        "published": published,
    }


def human(done: Finished, published: str | None = None) -> str:
    """Before, adapted and scratch on unseen showers, then who won and what it took."""
    gain, adapted = done.gain, done.adapted
    follow = f"catalog publish {adapted.folder}" if done.helped else f"keep {done.parent.ref}"
    lines = [
        f"{done.parent.ref} adapted to {done.target.detector.name} on {adapted.showers} showers, "
        f"seed {adapted.seed}",
        f"recipe {adapted.recipe.name}: {adapted.run.share:.0%} of the parameters trained, "
        f"{_steps(adapted)}",
        f"compared on {gain.n} showers that none of them has seen, against {gain.n} others",
        "",
        metrics_table(gain),
        "",
        f"took     {adapted.seconds:.0f} s"
        + (f"; from scratch {done.scratch.seconds:.0f} s" if done.scratch else ""),
        f"verdict  {_verdict(done)}",
        f"next     catalog show {published}" if published else f"next     {follow}",
    ]
    return "\n".join(lines)


def _steps(run: AdaptResult) -> str:
    done, best = run.run.steps, run.run.best
    if run.run.stopped == "steps":
        return f"best of {done} steps: {best}"
    why = {
        "budget": "the budget ended it",
        "patience": "it had stopped improving",
        "diverged": "the loss was no longer a number",
    }[run.run.stopped]
    return f"stopped after {done} of {run.steps} steps ({why}), best: {best}"


def _verdict(done: Finished) -> str:
    w1 = done.gain.w1
    if not done.helped:
        return "adapting made it worse: keep the parent"
    text = f"w1_geomean {w1[BEFORE]:.3g} before, {w1[AFTER]:.3g} adapted"
    if SCRATCH in w1:
        won = "adapting" if w1[AFTER] < w1[SCRATCH] else "training from scratch"
        text += f", {w1[SCRATCH]:.3g} from scratch: {won} wins"
    return f"{text} (floor {done.gain.floor['w1_geomean']:.3g})"


def _record(
    done: Finished, run: AdaptResult, reached: float, zero_shot: float | None
) -> Adaptation:
    scratch = run.recipe.strategy == "scratch"
    return Adaptation(
        family=run.card.family or "",
        strategy=run.recipe.strategy,
        model="" if scratch else done.parent.digest,
        model_ref="" if scratch else done.parent.ref,
        target=done.target.detector.name,
        target_digest=done.target.digest,
        pdg=done.target.pdg,
        showers=run.showers,
        steps=run.steps,
        seed=run.seed,
        zero_shot=zero_shot,
        reached=reached,
        floor=done.gain.floor["w1_geomean"],
        seconds=run.seconds,
        device=run.run.device,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        recipe=run.recipe.name,
        curve=tuple((at.step, at.score) for at in run.run.curve if math.isfinite(at.score)),
        trained_share=run.run.share,
        energy_kwh=run.energy_kwh,
        detector=about(done.target.detector),
    )
