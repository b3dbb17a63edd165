"""grpc.aio with nothing on it: the bytes of the file ANSWER, whatever is asked."""

import asyncio
import os
from pathlib import Path

import grpc

METHOD = "/inference.GRPCInferenceService/ModelInfer"
ANSWER = Path(os.environ["ANSWER"]).read_bytes()


class Handler(grpc.GenericRpcHandler):
    """One method, bytes in and bytes out."""

    def service(self, details):
        """Find the method."""
        return grpc.unary_unary_rpc_method_handler(self.infer) if details.method == METHOD else None

    async def infer(self, _, __):
        """Answer."""
        return ANSWER


async def main() -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.0.0.1:{os.environ['GRPC_PORT']}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
