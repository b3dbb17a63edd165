"""catalog train."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.adapt.duration import parse_duration
from catalog.adapt.family import Running
from catalog.adapt.train import as_dict, default_name, human, line, plan_training, train
from catalog.adapt.version import unfinished
from catalog.cli import out
from catalog.cli.data import BINNING, DETECTOR, PARTICLE, load_target
from catalog.cli.stopping import resumable

SETS = typer.Option(..., "--data", help="Full-simulation showers; repeat it for more detectors.")


def run(
    family: str = typer.Argument(help="What to train: cvae, 3dgan, or another installed family."),
    data: list[Path] = SETS,
    to: Path = typer.Option(..., "--out", help="New folder for the trained version."),
    name: str = typer.Option(None, help="Name of the model; default: FAMILY-DETECTOR."),
    licence: str = typer.Option("LicenseRef-unstated", help="SPDX identifier for its card."),
    recipe: str = typer.Option(None, help="A recipe of strategy scratch; default: as measured."),
    steps: int = typer.Option(None, min=1, help="Training steps (default 3000)."),
    batch: int = typer.Option(None, min=1, help="Showers per step, over all processes."),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same weights on a CPU."),
    resume: bool = typer.Option(False, "--resume", help="Go on with a run that was stopped."),
    snapshot: str = typer.Option("1min", help="Time between snapshots, e.g. 30s."),
    budget: str = typer.Option(None, help="Stop training after this long, e.g. 2h."),
    mlflow: str = typer.Option(None, help="Tracking URI of an MLflow server to report to."),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    as_json: bool = out.JSON,
) -> None:
    """Train a model from nothing on one or more detectors; the first one is what it generates."""
    sets = [load_target(path, detector, particle, binning) for path in data]
    count = sum(len(showers) for showers in sets)
    plan = plan_training(family, count, recipe=recipe, steps=steps, batch=batch, seed=seed)
    limit = parse_duration(budget) if budget else None
    running = Running(
        watch=lambda judged, pace: out.say(line(plan, judged, pace)),
        folder=unfinished(to), resume=resume, budget_s=limit, mlflow=mlflow,
        snapshot_s=parse_duration(snapshot),
    )  # fmt: skip
    card = {"name": name or default_name(family, sets), "licence": licence}
    with resumable(unfinished(to)):
        done = train(family, sets, to, plan, card, running)
    if done:
        out.emit(as_dict(done), as_json, lambda: human(done))
