"""NVIDIA's own client, unmodified, against the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pytest
from tiny_models import KINDS, direct, rows
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(url: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(url.removeprefix("http://")) as client:
        yield client


def tensor(name: str, array: np.ndarray, datatype: str, binary: bool = True) -> InferInput:
    tensor = InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def test_server_and_models_are_live_and_ready(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("affine")
    assert client.is_model_ready("affine", "1")
    assert not client.is_model_ready("affine", "3")
    assert not client.is_model_ready("unknown")


def test_server_metadata_lists_only_what_is_there(client) -> None:
    metadata = client.get_server_metadata()
    assert metadata["name"] == "hep-model-catalog"
    assert metadata["extensions"] == [
        "binary_tensor_data", "model_configuration", "model_repository", "statistics"
    ]  # fmt: skip


def test_model_metadata_comes_from_the_session(client, versions) -> None:
    metadata = client.get_model_metadata("affine", "1")
    assert metadata == {
        "name": "affine",
        "versions": ["1", "2"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [-1, 4]},
            {"name": "z", "datatype": "FP32", "shape": [-1]},
        ],
        "parameters": {"version": "1", "digest": versions["affine@1"].digest},
    }


def test_every_datatype_is_described(client) -> None:
    inputs = client.get_model_metadata("identity")["inputs"]
    assert [entry["datatype"] for entry in inputs] == list(KINDS)


def test_index_lists_every_version(client, versions) -> None:
    index = client.get_model_repository_index()
    assert sorted(f"{e['name']}@{e['version']}" for e in index) == sorted(versions)
    assert {e["state"] for e in index} == {"READY"}


@pytest.mark.parametrize("ref", ["affine@1", "affine@2"])
def test_binary_answers_are_bit_equal_to_onnxruntime(client, versions, ref) -> None:
    x = rows(5)
    result = client.infer("affine", [tensor("x", x, "FP32")], ref[-1])
    y, z = direct(versions, ref, x=x)
    assert result.as_numpy("y").tobytes() == y.tobytes()
    assert result.as_numpy("z").tobytes() == z.tobytes()
    assert result.get_response()["model_version"] == ref[-1]


def test_json_answers_are_bit_equal_too(client, versions) -> None:
    x = rows(3)
    outputs = [InferRequestedOutput(name, binary_data=False) for name in "yz"]
    result = client.infer("affine", [tensor("x", x, "FP32", binary=False)], "1", outputs=outputs)
    y, z = direct(versions, "affine@1", x=x)
    assert result.as_numpy("y").tobytes() == y.tobytes()
    assert result.as_numpy("z").tobytes() == z.tobytes()


def test_the_newest_version_answers_when_none_is_named(client) -> None:
    result = client.infer("affine", [tensor("x", rows(1), "FP32")])
    assert result.get_response()["model_version"] == "2"


def test_several_inputs_mix_binary_and_json(client, versions) -> None:
    x, k = np.array([1.5, -2.0, 4.0]), np.array([0, 2, 1])
    inputs = [tensor("k", k, "INT64", binary=False), tensor("x", x, "FP64")]
    result = client.infer("gather", inputs)
    scaled, picked = direct(versions, "gather@1", x=x, k=k)
    assert np.array_equal(result.as_numpy("scaled"), scaled)
    assert np.array_equal(result.as_numpy("picked"), picked)


def test_only_the_requested_outputs_come_in_the_requested_order(client) -> None:
    x = [tensor("x", rows(2), "FP32")]
    only = client.infer("affine", x, outputs=[InferRequestedOutput("z")])
    assert [o["name"] for o in only.get_response()["outputs"]] == ["z"]
    both = [InferRequestedOutput("z", binary_data=False), InferRequestedOutput("y")]
    mixed = client.infer("affine", x, outputs=both)
    assert [o["name"] for o in mixed.get_response()["outputs"]] == ["z", "y"]
    assert np.allclose(mixed.as_numpy("z"), rows(2).sum(axis=1))


def test_the_id_is_echoed_and_absent_when_not_sent(client) -> None:
    x = [tensor("x", rows(1), "FP32")]
    assert client.infer("affine", x, request_id="run-7 é").get_response()["id"] == "run-7 é"
    assert "id" not in client.infer("affine", x).get_response()


EXAMPLES = {
    "BOOL": np.array([[True, False]]),
    "FP16": np.array([[0.5, np.nan]], np.float16),
    "FP32": np.array([[1e-45, -np.inf]], np.float32),
    "FP64": np.array([[1e-308, 0.1]]),
    "BYTES": np.array([["", "épsilon\0"]], dtype=object),
}


@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_survives_the_round_trip(client, binary: bool) -> None:
    inputs, sent = [], {}
    for kind in KINDS:
        array = EXAMPLES.get(kind)
        if array is None:
            dtype = np.dtype(kind.lower())
            array = np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max]], dtype)
        raw = binary or kind == "FP16" or kind == "FP32"
        sent[kind] = array
        inputs.append(tensor(f"in_{kind}", array, kind, raw))
    raw_out = [binary or kind in ("FP16", "FP32") for kind in KINDS]
    outputs = [
        InferRequestedOutput(f"out_{kind}", binary_data=raw)
        for kind, raw in zip(KINDS, raw_out, strict=True)
    ]
    result = client.infer("identity", inputs, outputs=outputs)
    for kind, array in sent.items():
        back = result.as_numpy(f"out_{kind}")
        if kind == "BYTES":
            texts = [t.decode() if isinstance(t, bytes) else t for t in back.ravel()]
            assert texts == list(array.ravel())
        else:
            assert back.dtype == array.dtype
            assert back.tobytes() == array.tobytes()


def test_concurrent_callers_each_get_their_own_rows(url: str, versions) -> None:
    session = ort.InferenceSession(versions["affine@1"].folder / "model.onnx")

    def ask(seed: int) -> bool:
        x = rows(1 + seed % 7, seed)
        with InferenceServerClient(url.removeprefix("http://")) as client:
            for _ in range(4):
                result = client.infer("affine", [tensor("x", x, "FP32")], "1")
                if result.as_numpy("y").tobytes() != session.run(["y"], {"x": x})[0].tobytes():
                    return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(32)))


def test_two_hundred_sequential_requests_share_one_connection(client) -> None:
    for seed in range(200):
        x = rows(2, seed)
        z = client.infer("affine", [tensor("x", x, "FP32")]).as_numpy("z")
        assert np.allclose(z, x.sum(axis=1), atol=1e-5)


ERRORS: dict[str, tuple[Callable[[InferenceServerClient], object], str, str]] = {
    "unknown model": (
        lambda c: c.infer("nope", [tensor("x", rows(1), "FP32")]),
        "404",
        "Request for unknown model: 'nope' is not found",
    ),
    "unknown version": (
        lambda c: c.get_model_metadata("affine", "9"),
        "404",
        "Request for unknown model: 'affine' version '9' is not found; versions served: 1, 2",
    ),
    "wrong shape": (
        lambda c: c.infer("affine", [tensor("x", rows(1)[:, :3], "FP32")]),
        "400",
        "input 'x': expected shape [-1, 4], got [1, 3]; axis 1 must be 4; -1 is any size",
    ),
    "wrong rank": (
        lambda c: c.infer("affine", [tensor("x", rows(1)[0], "FP32")]),
        "400",
        "input 'x': expected shape [-1, 4], got [4]; send 2 axes; -1 is any size",
    ),
    "wrong datatype": (
        lambda c: c.infer("affine", [tensor("x", rows(1).astype(float), "FP64")]),
        "400",
        "input 'x': expected FP32, got FP64; convert it to FP32 before sending",
    ),
    "wrong name": (
        lambda c: c.infer("affine", [tensor("X", rows(1), "FP32")]),
        "400",
        "unknown input 'X'; this model takes 'x' FP32 [-1, 4]",
    ),
    "missing input": (
        lambda c: c.infer("gather", [tensor("x", np.ones(1), "FP64")]),
        "400",
        "missing input 'k'; this model takes 'x' FP64 [-1], 'k' INT64 [-1]",
    ),
    "inputs of different length": (
        lambda c: c.infer(
            "gather", [tensor("x", np.ones(2), "FP64"), tensor("k", np.zeros(3, int), "INT64")]
        ),
        "400",
        "input 'k': axis 0 ('batch') is 3, but 2 in another input;"
        " send the same number of rows in every input",
    ),
    "unknown output": (
        lambda c: c.infer(
            "affine", [tensor("x", rows(1), "FP32")], outputs=[InferRequestedOutput("q")]
        ),
        "400",
        "unknown output 'q'; this model gives 'y', 'z'",
    ),
    "too many rows": (
        lambda c: c.infer("affine", [tensor("x", rows(65), "FP32")]),
        "413",
        "input 'x': 65 rows, above the limit of 64; send several requests of at most 64 rows",
    ),
    "answer too large": (
        lambda c: c.infer("wide", [tensor("x", rows(5)[:, :1], "FP32")]),
        "413",
        "output 'y' would have 300000 elements, above the limit of 262144;"
        " send several requests with fewer rows each",
    ),
    "answer too large for JSON": (
        lambda c: c.infer(
            "wide",
            [tensor("x", rows(1)[:, :1], "FP32")],
            outputs=[InferRequestedOutput("y", binary_data=False)],
        ),
        "413",
        "output 'y' has 60000 elements, above the limit of 4096 for JSON;"
        " ask for it in binary: parameters {'binary_data': true}",
    ),
    "infinity in JSON": (
        lambda c: c.infer(
            "log",
            [tensor("x", np.zeros(1, np.float32), "FP32")],
            outputs=[InferRequestedOutput("y", binary_data=False)],
        ),
        "400",
        "output 'y' holds NaN or infinity, which JSON cannot say;"
        " ask for it in binary: parameters {'binary_data': true}",
    ),
    "values the model cannot take": (
        lambda c: c.infer(
            "gather", [tensor("x", np.ones(1), "FP64"), tensor("k", np.array([99]), "INT64")]
        ),
        "422",
        "gather@1 failed on these inputs; their names, datatypes and shapes are right;"
        " check the values, or try one row at a time",
    ),
    "body too large": (
        lambda c: c.infer("affine", [tensor("x", rows(70_000), "FP32")]),
        "413",
        "the body is above the limit of 1048576 bytes;"
        " send several smaller requests, or start the server with a larger --max-body-mb",
    ),
    "classification": (
        lambda c: c.infer(
            "affine",
            [tensor("x", rows(1), "FP32")],
            outputs=[InferRequestedOutput("y", class_count=2)],
        ),
        "415",
        "output 'y': this server does not have the extension of 'classification'",
    ),
    "compressed body": (
        lambda c: c.infer(
            "affine", [tensor("x", rows(1), "FP32")], request_compression_algorithm="gzip"
        ),
        "415",
        "Content-Encoding 'gzip'; send the body uncompressed",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_names_the_tensor_the_expectation_and_the_remedy(client, case: str) -> None:
    ask, status, text = ERRORS[case]
    with pytest.raises(InferenceServerException) as caught:
        ask(client)
    assert caught.value.status() == status
    assert caught.value.message() == text
    assert client.is_server_live()


def test_infinity_travels_in_binary(client) -> None:
    x = np.zeros(1, np.float32)
    assert client.infer("log", [tensor("x", x, "FP32")]).as_numpy("y")[0] == -np.inf
