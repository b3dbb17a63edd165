"""MLServer with a runtime of one's own: it ships none for ONNX."""

import json
import os
from pathlib import Path

if __name__ == "__main__":
    settings = {
        "host": "127.0.0.1",
        "http_port": int(os.environ["PORT"]),
        "grpc_port": int(os.environ["GRPC_PORT"]),
        "metrics_port": int(os.environ["METRICS_PORT"]),
        "parallel_workers": 0,  # one makes it wait for ever with uvloop 0.22 and later
        "debug": False,
    }
    model = {"name": os.environ["NAME"], "implementation": "mlserver_runtime.Onnx"}
    Path("settings.json").write_text(json.dumps(settings), encoding="utf-8")
    Path("model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    os.execvp("mlserver", ["mlserver", "start", "."])  # of the same environment
