"""The service that `run_bentoml.py` starts."""

from __future__ import annotations

import bentoml
import numpy as np
from session import run


@bentoml.service(workers=1, traffic={"timeout": 60})
class Onnx:
    """One model."""

    @bentoml.api
    def infer(self, inputs: np.ndarray) -> np.ndarray:
        """Rows in, rows out."""
        return run(inputs.astype(np.float32))
