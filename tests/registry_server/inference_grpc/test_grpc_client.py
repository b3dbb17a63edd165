"""NVIDIA's own gRPC client, unmodified, against the server."""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pytest
from raw import Served
from tiny_models import KINDS, direct, rows
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(served: Served) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(served.address) as client:
        yield client


def tensor(name: str, array: np.ndarray, datatype: str) -> InferInput:
    tensor = InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def test_server_and_models_are_live_and_ready(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("affine")
    assert client.is_model_ready("affine", "1")
    assert not client.is_model_ready("affine", "3")
    assert not client.is_model_ready("unknown")


def test_server_metadata_names_it_and_what_it_has(client) -> None:
    metadata = client.get_server_metadata()
    assert metadata.name == "hep-model-catalog"
    assert "statistics" in metadata.extensions


def test_model_metadata_comes_from_the_session(client) -> None:
    metadata = client.get_model_metadata("affine", "1")
    assert list(metadata.versions) == ["1", "2"]
    assert [(it.name, it.datatype, list(it.shape)) for it in metadata.outputs] == [
        ("y", "FP32", [-1, 4]),
        ("z", "FP32", [-1]),
    ]


def test_config_has_what_perf_analyzer_reads(client) -> None:
    config = client.get_model_config("affine", as_json=True)["config"]
    assert config["max_batch_size"] == 64
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": ["4"]}]
    assert client.get_model_config("identity").config.input[9].data_type == 10  # TYPE_FP16


def test_statistics_count_requests_and_rows(client) -> None:
    def seen() -> tuple[int, int]:
        (it,) = client.get_inference_statistics("gather").model_stats
        return it.inference_count, it.inference_stats.success.count

    inputs = [tensor("x", np.ones(3), "FP64"), tensor("k", np.zeros(3, int), "INT64")]
    client.infer("gather", inputs)
    before = seen()
    client.infer("gather", inputs)
    assert seen() == (before[0] + 3, before[1] + 1)
    names = {it.name for it in client.get_inference_statistics().model_stats}
    assert {"affine", "gather"} <= names


def test_index_lists_every_version(client, versions) -> None:
    index = client.get_model_repository_index().models
    assert sorted(f"{it.name}@{it.version}" for it in index) == sorted(versions)


def test_a_model_is_unloaded_and_loaded(client) -> None:
    client.unload_model("log")
    assert not client.is_model_ready("log")
    (entry,) = [it for it in client.get_model_repository_index().models if it.name == "log"]
    assert (entry.state, entry.reason) == ("UNAVAILABLE", "unloaded")
    client.load_model("log")
    assert client.is_model_ready("log")


@pytest.mark.parametrize("ref", ["affine@1", "affine@2"])
def test_answers_are_bit_equal_to_onnxruntime(client, versions, ref) -> None:
    x = rows(5)
    result = client.infer("affine", [tensor("x", x, "FP32")], ref[-1])
    y, z = direct(versions, ref, x=x)
    assert result.as_numpy("y").tobytes() == y.tobytes()
    assert result.as_numpy("z").tobytes() == z.tobytes()
    answer = result.get_response()
    assert answer.model_version == ref[-1]
    assert answer.parameters["digest"].string_param == versions[ref].digest


def test_large_tensors_take_the_way_through_threads_to_the_same_bits(client, versions) -> None:
    x = np.ones((4, 1), np.float32)
    assert client.infer("wide", [tensor("x", x, "FP32")]).as_numpy("y").shape == (4, 60000)
    x = rows(64, 3)
    many = [tensor("x", x, "FP32")]
    assert client.infer("affine", many).as_numpy("y").shape == (64, 4)


def test_only_the_requested_outputs_come_in_the_requested_order(client) -> None:
    x = [tensor("x", rows(2), "FP32")]
    both = [InferRequestedOutput("z"), InferRequestedOutput("y")]
    answer = client.infer("affine", x, outputs=both).get_response()
    assert [it.name for it in answer.outputs] == ["z", "y"]
    answer = client.infer("affine", x, outputs=both[:1]).get_response()
    assert [it.name for it in answer.outputs] == ["z"]


def test_the_id_is_echoed(client) -> None:
    x = [tensor("x", rows(1), "FP32")]
    assert client.infer("affine", x, request_id="run-7 é").get_response().id == "run-7 é"
    assert client.infer("affine", x).get_response().id == ""


def test_priority_timeout_and_unknown_parameters_are_accepted(client) -> None:
    x = [tensor("x", rows(1), "FP32")]
    how = {"priority": 1, "timeout": 5_000_000, "parameters": {"mine": "x", "n": 2, "b": True}}
    assert client.infer("affine", x, **how).as_numpy("y") is not None


EXAMPLES = {
    "BOOL": np.array([[True, False]]),
    "FP16": np.array([[0.5, np.nan]], np.float16),
    "FP32": np.array([[1e-45, -np.inf]], np.float32),
    "FP64": np.array([[1e-308, 0.1]]),
    "BYTES": np.array([["", "épsilon\0"]], dtype=object),
}


def test_every_datatype_survives_the_round_trip(client) -> None:
    sent = {}
    for kind in KINDS:
        array = EXAMPLES.get(kind)
        if array is None:
            dtype = np.dtype(kind.lower())
            array = np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max]], dtype)
        sent[kind] = array
    inputs = [tensor(f"in_{kind}", array, kind) for kind, array in sent.items()]
    result = client.infer("identity", inputs)
    for kind, array in sent.items():
        back = result.as_numpy(f"out_{kind}")
        if kind == "BYTES":
            assert [text.decode() for text in back.ravel()] == list(array.ravel())
        else:
            assert back.dtype == array.dtype
            assert back.tobytes() == array.tobytes()


def test_32_callers_each_get_their_own_rows(served: Served, versions) -> None:
    session = ort.InferenceSession(versions["affine@1"].folder / "model.onnx")

    def ask(seed: int) -> bool:
        with InferenceServerClient(served.address) as client:
            for turn in range(8):
                x = rows(1 + (seed + turn) % 7, 100 * seed + turn)
                result = client.infer("affine", [tensor("x", x, "FP32")], "1")
                if result.as_numpy("y").tobytes() != session.run(["y"], {"x": x})[0].tobytes():
                    return False
        return True

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(32)))


def test_the_asynchronous_callbacks_of_the_client_work(client) -> None:
    answers: queue.Queue = queue.Queue()
    x = rows(3)
    client.async_infer(
        "affine", [tensor("x", x, "FP32")], lambda result, error: answers.put((result, error))
    )
    result, error = answers.get(timeout=20)
    assert error is None
    assert np.allclose(result.as_numpy("z"), x.sum(axis=1))


def test_a_stream_answers_in_order_and_outlives_a_refused_request(client) -> None:
    answers: queue.Queue = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    try:
        for i, name in enumerate(["affine", "nope", "affine"]):
            client.async_stream_infer(name, [tensor("x", rows(1, i), "FP32")], request_id=str(i))
        first, second, third = (answers.get(timeout=20) for _ in range(3))
    finally:
        client.stop_stream()
    assert [it[0].get_response().id for it in (first, third)] == ["0", "2"]
    assert first[0].get_response().parameters["triton_final_response"].bool_param
    assert second[1].message() == "Request for unknown model: 'nope' is not found"
    assert np.allclose(third[0].as_numpy("z"), rows(1, 2).sum(axis=1))


ERRORS: dict[str, tuple[Callable[[InferenceServerClient], object], str, str]] = {
    "unknown model": (
        lambda c: c.infer("nope", [tensor("x", rows(1), "FP32")]),
        "NOT_FOUND",
        "Request for unknown model: 'nope' is not found",
    ),
    "unknown version": (
        lambda c: c.get_model_metadata("affine", "9"),
        "NOT_FOUND",
        "Request for unknown model: 'affine' version '9' is not found; versions served: 1, 2",
    ),
    "wrong shape": (
        lambda c: c.infer("affine", [tensor("x", rows(1)[:, :3], "FP32")]),
        "INVALID_ARGUMENT",
        "input 'x': expected shape [-1, 4], got [1, 3]; axis 1 must be 4; -1 is any size",
    ),
    "too many rows": (
        lambda c: c.infer("affine", [tensor("x", rows(65), "FP32")]),
        "RESOURCE_EXHAUSTED",
        "input 'x': 65 rows, above the limit of 64; send several requests of at most 64 rows",
    ),
    "values the model cannot take": (
        lambda c: c.infer(
            "gather", [tensor("x", np.ones(1), "FP64"), tensor("k", np.array([99]), "INT64")]
        ),
        "INVALID_ARGUMENT",
        "gather@1 failed on these inputs; their names, datatypes and shapes are right;"
        " check the values, or try one row at a time",
    ),
    "a message too large": (
        lambda c: c.infer("affine", [tensor("x", rows(70_000), "FP32")]),
        "RESOURCE_EXHAUSTED",
        "a message of 1120029 bytes, above the limit of 1048576; send several smaller requests, or"
        " start the server with a larger --max-body-mb",
    ),
    "classification": (
        lambda c: c.infer(
            "affine",
            [tensor("x", rows(1), "FP32")],
            outputs=[InferRequestedOutput("y", class_count=2)],
        ),
        "UNIMPLEMENTED",
        "output 'y': this server does not have the extension of 'classification'",
    ),
    "shared memory": (
        lambda c: c.register_system_shared_memory("a", "/etc/passwd", 8),
        "UNIMPLEMENTED",
        "this server does not have SystemSharedMemoryRegister",
    ),
    "trace": (
        lambda c: c.get_trace_settings(),
        "UNIMPLEMENTED",
        "this server does not have TraceSetting",
    ),
    "load with a configuration": (
        lambda c: c.load_model("affine", config="{}"),
        "UNIMPLEMENTED",
        "a model cannot be loaded with 'config'; publish it: catalog publish FOLDER",
    ),
}


def test_a_client_that_compresses_learns_not_to(served: Served) -> None:
    x = [tensor("x", rows(60), "FP32")]
    with InferenceServerClient(served.address) as client:
        assert client.is_server_live()  # says which codings the server takes
        assert client.infer("affine", x, compression_algorithm="gzip").as_numpy("y") is not None


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_has_a_status_and_the_sentence_of_http(client, case: str) -> None:
    ask, status, text = ERRORS[case]
    with pytest.raises(InferenceServerException) as caught:
        ask(client)
    assert caught.value.status() == f"StatusCode.{status}"
    assert caught.value.message() == text
    assert client.is_server_live()


# In a process of its own: grpc.aio shares one poller among all event loops of a process, and the
# server's is here.
AIO = """
import asyncio, sys
import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

async def ask(client, seed):
    x = np.full((1 + seed % 5, 4), seed, np.float32)
    it = InferInput("x", list(x.shape), "FP32")
    it.set_data_from_numpy(x)
    z = (await client.infer("affine", [it])).as_numpy("z")
    return z.tolist() == [4.0 * seed] * len(x)

async def main():
    async with InferenceServerClient(sys.argv[1]) as client:
        assert await client.is_model_ready("affine")
        print(all(await asyncio.gather(*(ask(client, seed) for seed in range(200)))))

asyncio.run(main())
"""


def test_tritons_asyncio_client_works(served: Served) -> None:
    program = [sys.executable, "-c", AIO, served.address]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True\n", done.stderr
