"""Where a version's files wait for the commit: one MLflow run per (model, manifest).

A run is no model version, so no reader of the registry looks there. Each finished file leaves a
tag on the run; what a killed upload left behind has none and is uploaded again.
"""

from __future__ import annotations

from typing import Any

from catalog.errors import CatalogError, StoreError
from catalog.manifest import Entry, Manifest
from catalog_mlflow._client import EXPERIMENT
from catalog_mlflow._edge import Edge, is_already_there

MANIFEST_TAG = "catalog.manifest"
_NAME_TAG = "catalog.name"
_DONE_TAG = "catalog.file/"
_NOTE = "Files of models being published by hep-model-catalog; each run holds one version."


def find_run(client: Any, edge: Edge, name: str, manifest: Manifest) -> Any | None:
    """The run to resume: of several (two processes began at once), the most complete one."""
    experiment = edge.call(client.get_experiment_by_name, EXPERIMENT)
    if experiment is None:
        return None
    runs = edge.call(
        client.search_runs,
        [experiment.experiment_id],
        f"tags.`{MANIFEST_TAG}` = '{manifest.digest}'",
        order_by=["attributes.start_time ASC"],
    )
    ours = [run for run in runs if run.data.tags.get(_NAME_TAG) == name]
    return max(ours, key=lambda run: len(run.data.tags), default=None)


def create_run(client: Any, edge: Edge, name: str, manifest: Manifest) -> Any:
    """A new, empty run."""
    tags = {MANIFEST_TAG: manifest.digest, _NAME_TAG: name}
    title = f"{name} {manifest.digest.removeprefix('sha256:')[:12]}"
    experiment = _experiment(client, edge)
    return edge.once(client.create_run, experiment, tags=tags, run_name=title)


def is_done(run: Any, entry: Entry) -> bool:
    """Whether this file was uploaded and verified to its end."""
    return bool(run.data.tags.get(_DONE_TAG + entry.path) == entry.digest)


def mark_done(client: Any, edge: Edge, run: Any, entry: Entry) -> None:
    """Remember that this file is complete."""
    edge.call(client.set_tag, run.info.run_id, _DONE_TAG + entry.path, entry.digest)


def _experiment(client: Any, edge: Edge) -> str:
    experiment = edge.call(client.get_experiment_by_name, EXPERIMENT)
    if experiment is None:
        try:
            tags = {"mlflow.note.content": _NOTE}
            return str(edge.once(client.create_experiment, EXPERIMENT, tags=tags))
        except CatalogError as exc:
            if not is_already_there(exc):
                raise
        experiment = edge.call(client.get_experiment_by_name, EXPERIMENT)
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"the MLflow experiment {EXPERIMENT!r} was deleted there",
            f"restore it: mlflow experiments restore --experiment-id {experiment.experiment_id}",
        )
    return str(experiment.experiment_id)
