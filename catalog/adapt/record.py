"""From a finished run to its record in the adaptation log, and to what the user is told."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from catalog.adapt.adapt import AdaptResult
from catalog.adapt.compare import AFTER, BEFORE, SCRATCH
from catalog.adapt.log import Adaptation
from catalog.manifest import build_manifest
from catalog.physics.observables import observe
from catalog.physics.present import metrics_table
from catalog.physics.validate import Comparison
from catalog.pull import Pulled
from catalog.scoring.recommend import zero_shot
from catalog.showers import ShowerSet


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


def records(done: Finished) -> list[Adaptation]:
    """The runs as the log keeps them."""
    used = done.target.part(0, done.adapted.showers)
    start = zero_shot(done.parent, used, observe(used).values, done.adapted.seed)[0]
    runs = [_record(done, done.adapted, done.gain.w1[AFTER], start)]
    if done.scratch:
        runs.append(_record(done, done.scratch, done.gain.w1[SCRATCH], None))
    return runs


def as_dict(done: Finished) -> dict[str, Any]:
    """The JSON of `catalog adapt`."""
    gain = done.gain
    return {
        "parent": done.parent.ref,
        "parent_digest": done.parent.digest,
        "name": done.adapted.card.name,
        "folder": str(done.adapted.folder),
        "digest": build_manifest(done.adapted.folder).digest,
        "target": {"data": done.target.source, "detector": done.target.detector.name},
        "metric": "w1_geomean",
        "showers": done.adapted.showers,
        "steps": done.adapted.steps,
        "seed": done.adapted.seed,
        "n": gain.n,
        "before": gain.w1[BEFORE],
        "adapted": gain.w1[AFTER],
        "scratch": gain.w1.get(SCRATCH),
        "floor": gain.floor["w1_geomean"],
        "seconds": done.adapted.seconds,
        "scratch_seconds": done.scratch.seconds if done.scratch else None,
    }


def human(done: Finished) -> str:
    """Before, adapted and scratch on unseen showers, then who won and what it took."""
    gain, adapted = done.gain, done.adapted
    lines = [
        f"{done.parent.ref} adapted to {done.target.detector.name} on {adapted.showers} showers, "
        f"{adapted.steps} steps, seed {adapted.seed}",
        f"compared on {gain.n} showers that none of them has seen, against {gain.n} others",
        "",
        metrics_table(gain),
        "",
        f"took     {adapted.seconds:.0f} s"
        + (f"; from scratch {done.scratch.seconds:.0f} s" if done.scratch else ""),
        f"verdict  {_verdict(done)}",
        f"next     catalog publish {adapted.folder}",
    ]
    return "\n".join(lines)


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
    scratch = run.strategy == "scratch"
    return Adaptation(
        family=run.card.family or "",
        strategy=run.strategy,
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
        device=f"CPU, {platform.machine()}",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
