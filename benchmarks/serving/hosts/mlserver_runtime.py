"""The runtime that `run_mlserver.py` names."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from session import run


class Onnx(MLModel):
    """Decode, run, encode."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        x = NumpyCodec.decode_input(payload.inputs[0]).astype("float32", copy=False)
        output = NumpyCodec.encode_output("y", run(x))
        return InferenceResponse(model_name=self.name, outputs=[output])
