"""Keep models in MLflow: the embedded registry of this machine, or a laboratory's server.

`mlflow`                    SQLite and files under CATALOG_HOME; no server to run
`mlflow+https://host/path`  an MLflow server; credentials from its entry in the list of stores
                            (`catalog stores`), else from MLflow's own variables
                            (MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD)

Every version is an ordinary model version whose source is the artifact folder of an ordinary
run, so that `mlflow ui` and every MLflow client show it. MLflow's own model loading is never used.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("mlflow") is None:
    # Said here, without importing it (seconds), so that whoever loads the entry point knows.
    raise ImportError("catalog_mlflow needs mlflow")

from catalog_mlflow._store import MlflowStore, open_store

__all__ = ["MlflowStore", "open_store"]
