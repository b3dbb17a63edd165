"""LitServe: JSON, its own batching switched on."""

import os

import litserve as ls
import numpy as np
from session import run


class Api(ls.LitAPI):
    """Rows of one request in, rows out."""

    def setup(self, device):
        """Nothing: the model is open."""

    def decode_request(self, request):
        """Take the rows."""
        return np.array(request["inputs"], np.float32)

    def batch(self, inputs):
        """Put requests together; each has one row."""
        return np.concatenate(inputs)

    def predict(self, x):
        """Run."""
        return run(x)

    def unbatch(self, output):
        """One row each."""
        return list(output[:, None])

    def encode_response(self, output):
        """Give the rows."""
        return {"y": output.tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=32, batch_timeout=0.0)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1)
    port = int(os.environ["PORT"])
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="error")
