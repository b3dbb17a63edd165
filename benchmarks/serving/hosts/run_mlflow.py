"""`mlflow models serve` of MLflow's own ONNX flavour: JSON."""

import os
import sys

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

if __name__ == "__main__":
    model = onnx.load(os.environ["MODEL"])
    width = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    takes = Schema([TensorSpec(np.dtype("float32"), (-1, width), "x")])
    mlflow.onnx.save_model(
        model,
        "model",
        signature=ModelSignature(inputs=takes),
        onnx_session_options={"intra_op_num_threads": 1, "execution_mode": "sequential"},
    )
    words = ["serve", "-m", "model", "--env-manager", "local", "-h", "127.0.0.1"]
    words += ["-p", os.environ["PORT"]]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "models", *words])
