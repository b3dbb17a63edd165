"""Ray Serve, bytes in and bytes out, one replica."""

import os
import time

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.5})
class Onnx:
    """One model."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        from session import run_bytes

        return Response(run_bytes(await request.body()))


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=2, object_store_memory=200_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Onnx.bind(), name="onnx", route_prefix="/")
    while True:
        time.sleep(60)
