"""BentoML: JSON; its binary form is a pickle."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    here = str(Path(__file__).parent)
    words = ["serve", "bento_service:Onnx", "--working-dir", here, "--host", "127.0.0.1"]
    words += ["--port", os.environ["PORT"]]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *words])
