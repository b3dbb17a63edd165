"""The one request that a server is asked again and again, in its own form, and the answer."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.serving.models import Model

_LENGTH = "Inference-Header-Content-Length"
_GRPC = "/inference.GRPCInferenceService/ModelInfer"
_PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Question:
    """`read` makes the output of the model from the answer's headers and body.

    least : bytes that no full answer is smaller than
    """

    port: int
    path: str
    body: bytes
    headers: dict[str, str]
    read: Callable[[dict[str, str], bytes], np.ndarray]
    least: int
    grpc: bool = False

    def ask(self) -> np.ndarray:
        """Ask once.

        Raises
        ------
        OSError, http.client.HTTPException, grpc.RpcError
        ValueError
            The answer is a refusal, or not of the form that was expected.
        """
        if self.grpc:
            return self.read({}, self._call())
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            link.request("POST", self.path, self.body, self.headers)
            answer = link.getresponse()
            body = answer.read()
        finally:
            link.close()
        if answer.status != 200:
            raise ValueError(f"{answer.status}: {body[:300]!r}")
        return self.read({key.lower(): value for key, value in answer.getheaders()}, body)

    def _call(self) -> bytes:
        import grpc

        metadata = [(k, v) for k, v in self.headers.items() if k not in ("content-type", "te")]
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            call = channel.unary_unary(self.path)
            answer: bytes = call(self.body[5:], metadata=metadata, timeout=_PATIENCE)
        return answer


def raw(model: Model, x: np.ndarray, port: int) -> Question:
    """Nothing but the bytes of the tensors: what a server of one's own would take."""

    def read(_: dict[str, str], body: bytes) -> np.ndarray:
        return np.frombuffer(body, np.float32).reshape(len(x), *model.output)

    headers = {"Content-Type": "application/octet-stream"}
    return Question(port, "/", x.tobytes(), headers, read, _size(model, x))


def rows(model: Model, x: np.ndarray, port: int, path: str) -> Question:
    """JSON `{"inputs": [[...], ...]}`; the answer is an array, or the first one of an object."""

    def read(_: dict[str, str], body: bytes) -> np.ndarray:
        value = json.loads(body)
        while isinstance(value, dict):
            value = next(iter(value.values()))
        return np.array(value, np.float32).reshape(len(x), *model.output)

    body = json.dumps({"inputs": x.tolist()}).encode()
    return Question(port, path, body, {"Content-Type": "application/json"}, read, _size(model, x))


def binary(model: Model, x: np.ndarray, port: int, token: str = "") -> Question:
    """The Open Inference Protocol with its extension of binary tensors."""
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32"}
    sent = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": x.nbytes}}],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(sent).encode()

    def read(headers: dict[str, str], body: bytes) -> np.ndarray:
        cut = int(headers[_LENGTH.lower()])
        return np.frombuffer(body[cut:], np.float32).reshape(len(x), *model.output)

    headers = {_LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
    path = f"/v2/models/{model.name}/infer"
    return Question(port, path, head + x.tobytes(), headers | _bearer(token), read, _size(model, x))


def protocol_json(model: Model, x: np.ndarray, port: int, token: str = "") -> Question:
    """The Open Inference Protocol in JSON alone."""

    def read(_: dict[str, str], body: bytes) -> np.ndarray:
        data = json.loads(body)["outputs"][0]["data"]
        return np.array(data, np.float32).reshape(len(x), *model.output)

    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    body = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Content-Type": "application/json"} | _bearer(token)
    return Question(port, f"/v2/models/{model.name}/infer", body, headers, read, _size(model, x))


def grpc_raw(model: Model, x: np.ndarray, port: int, token: str = "") -> Question:
    """The Open Inference Protocol over gRPC, with raw contents."""
    from tritonclient.grpc import service_pb2

    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name="x", datatype="FP32", shape=x.shape
    )
    message = service_pb2.ModelInferRequest(
        model_name=model.name, inputs=[tensor], raw_input_contents=[x.tobytes()]
    ).SerializeToString()

    def read(_: dict[str, str], body: bytes) -> np.ndarray:
        (data,) = service_pb2.ModelInferResponse.FromString(body).raw_output_contents
        return np.frombuffer(data, np.float32).reshape(len(x), *model.output)

    body = b"\0" + len(message).to_bytes(4, "big") + message
    headers = {"content-type": "application/grpc", "te": "trailers"}
    bearer = {key.lower(): value for key, value in _bearer(token).items()}
    return Question(port, _GRPC, body, headers | bearer, read, _size(model, x), grpc=True)


def constant(expected: np.ndarray, *, grpc: bool) -> bytes:
    """The body of a right answer, for a server that runs no model."""
    if not grpc:
        return expected.tobytes()
    from tritonclient.grpc import service_pb2

    answer = service_pb2.ModelInferResponse(raw_output_contents=[expected.tobytes()])
    return bytes(answer.SerializeToString())


def _size(model: Model, x: np.ndarray) -> int:
    return len(x) * math.prod(model.output)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
