"""Register a version with plain MLflow, as somebody does who never heard of the catalog."""

from __future__ import annotations

import tempfile
from pathlib import Path

from catalog.stores.protocol import Committed
from catalog_mlflow import MlflowStore
from tests.conformance.store_tools import TOLD


def register(
    store: MlflowStore, name: str, files: dict[str, bytes], described: str = TOLD.description
) -> Committed:
    client = store._client
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    run = client.create_run("0")
    with tempfile.TemporaryDirectory() as folder:
        for path, data in files.items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_bytes(data)
        client.log_artifacts(run.info.run_id, folder, "model")
    made = client.create_model_version(
        name, f"{run.info.artifact_uri}/model", run.info.run_id, tags=dict(TOLD.tags),
        description=described, await_creation_for=0,
    )  # fmt: skip
    return Committed(name, int(made.version), "")
