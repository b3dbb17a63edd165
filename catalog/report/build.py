"""Gather what a report shows about one adapted model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from catalog.adapt.compare import AFTER, compare
from catalog.adapt.log import Adaptation, read_log
from catalog.errors import UsageError
from catalog.index import Index
from catalog.physics.validate import Comparison
from catalog.pull import Pulled, pull, read_folder
from catalog.report.charts import recommendation_chart
from catalog.report.html import Report
from catalog.report.rows import CostRow, Estimate, Ranked
from catalog.report.validation import comparison_plots, physics_of
from catalog.scoring.predict import Prediction
from catalog.scoring.recommend import Recommendation, recommend
from catalog.settings import Settings
from catalog.showers import ShowerSet


@dataclass(frozen=True)
class Asked:
    """What a report is about: the first `used` showers were adapted on, the others are unseen."""

    child: Pulled
    showers: ShowerSet
    used: int
    scratch: Path | None
    commands: tuple[str, ...]
    seed: int = 0


def build_report(
    asked: Asked, index: Index, settings: Settings, say: Callable[[str], None]
) -> Report:
    """Compare before, after and scratch on unseen showers, and rank the catalog once more.

    Raises
    ------
    UsageError
        The model was not adapted from another one, or no shower is left unseen.
    """
    lineage = asked.child.card.lineage
    if lineage is None:
        raise UsageError(
            f"{asked.child.ref} was not adapted from another model: there is no before",
            "compare it with full simulation: catalog validate MODEL --data FILE",
        )
    parent = pull(f"{lineage.parent_ref.partition('@')[0]}@{lineage.parent}", settings)
    scratch = read_folder(asked.scratch) if asked.scratch else None
    say(f"comparing on the showers after the first {asked.used}")
    found = compare(
        parent, asked.child, asked.showers, showers=asked.used, scratch=scratch, seed=asked.seed
    )
    log = read_log(settings.home)
    ranking = recommend(asked.showers.part(0, asked.used), index, settings, log, say, asked.seed)
    return replace(
        _text(asked, found, parent),
        verdict=f"Before training, the catalog's verdict was {ranking.verdict}: {ranking.reason}.",
        ranking=ranked(ranking),
        scratch=_estimate(ranking.scratch),
        excluded=dict(ranking.excluded),
        costs=costs(log, asked.showers.digest, asked.used),
        plots=plots(found, ranking),
    )


def plots(found: Comparison, ranking: Recommendation) -> dict[str, str]:
    """All plots of the report: {title: SVG}."""
    chart = recommendation_chart(ranked(ranking), _estimate(ranking.scratch))
    every = {**comparison_plots(found), "Recommendation": chart}
    return {title: plot.svg for title, plot in every.items()}


def ranked(found: Recommendation) -> list[Ranked]:
    """The ranking as the report's rows."""
    rows: list[Ranked] = []
    for candidate in found.ranking:
        known = candidate.prediction
        rows.append(
            {
                "ref": candidate.ref,
                "zero_shot": candidate.zero_shot,
                "predicted": known.predicted if known else None,
                "low": known.low if known else None,
                "high": known.high if known else None,
                "notes": f"mean rank {candidate.rank:.3g}; "
                + (f"range of {known.runs} recorded runs" if known else "no recorded runs"),
            }
        )
    return rows


def costs(log: list[Adaptation], digest: str, used: int) -> list[CostRow]:
    """What recorded runs on these showers took."""
    runs = [run for run in log if run.target_digest == digest and run.showers == used]
    return [
        {
            "what": f"from scratch ({run.family})" if run.strategy == "scratch"
            else f"adapting {run.model_ref}",
            "seconds": run.seconds,
            "device": run.device,
            "note": f"{run.steps} steps, {run.showers} showers, reached {run.reached:.3g}",
        }
        for run in runs
    ]  # fmt: skip


def _text(asked: Asked, found: Comparison, parent: Pulled) -> Report:
    """The part of a report that needs no computing."""
    showers, lineage = asked.showers, asked.child.card.lineage
    energies = showers.incident_gev
    return replace(
        physics_of(found, AFTER),
        title=f"{parent.name} adapted to {showers.detector.name}",
        subtitle=(asked.child.card.summary,),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        seed=asked.seed,
        adapt_showers=asked.used,
        target={
            "showers": f"{showers.source} ({len(showers)}, of which {asked.used} adapted on)",
            "detector": f"{showers.detector.name}: {showers.detector.title}",
            "particle": f"PDG {showers.pdg}",
            "energies": f"{energies.min():.3g} to {energies.max():.3g} GeV",
        },
        lineage=[
            {
                "parent": lineage.parent_ref if lineage else "",
                "parent_digest": parent.digest,
                "child": asked.child.ref,
                "child_digest": asked.child.digest,
            }
        ],
        commands=asked.commands,
    )


def _estimate(found: Prediction | None) -> Estimate | None:
    if found is None:
        return None
    return {"predicted": found.predicted, "low": found.low, "high": found.high}
