"""Report a run to an MLflow server, through MLflow's own client; imported only if asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.adapt.family import Judged, Pace
from catalog.errors import MissingExtra, StoreError

_EXPERIMENT = "catalog train"


class Tracker:
    """One MLflow run; `run_id` of an earlier process goes on with that run."""

    def __init__(self, uri: str, params: Mapping[str, Any], run_id: str | None) -> None:
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as exc:
            raise MissingExtra("mlflow", "tracking a run") from exc
        self._errors: type[Exception] = MlflowException
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self.run_id = run_id or self._begin(params)
        except MlflowException as exc:
            first = str(exc).splitlines()[0][:200]
            raise StoreError(f"cannot track at {uri}: {first}", "check --mlflow") from exc

    def _begin(self, params: Mapping[str, Any]) -> str:
        client = self._client
        found = client.get_experiment_by_name(_EXPERIMENT)
        place = found.experiment_id if found else client.create_experiment(_EXPERIMENT)
        run_id: str = client.create_run(place).info.run_id
        for key, value in params.items():
            client.log_param(run_id, key, value)
        return run_id

    def judged(self, judged: Judged, pace: Pace) -> None:
        """Log one judgement; a server that is away for a while does not end the training."""
        values = {"w1_geomean": judged.score, "showers_per_s": pace.showers_per_s}
        values["waiting"] = pace.waiting
        if judged.loss is not None:
            values["loss"] = judged.loss
        for key, value in values.items():
            self._try(lambda k=key, v=value: self._log(k, v, judged.step))

    def finish(self, stopped: str) -> None:
        """Close the run."""
        self._try(lambda: self._client.set_tag(self.run_id, "stopped", stopped))
        self._try(lambda: self._client.set_terminated(self.run_id))

    def _log(self, key: str, value: float, step: int) -> None:
        self._client.log_metric(self.run_id, key, value, step=step)

    def _try(self, call: Any) -> None:
        try:
            call()
        except self._errors:
            return
