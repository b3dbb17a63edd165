"""What Triton's tools ask besides inference, with NVIDIA's own clients, unmodified."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.http import aio as aio_client
from tritonclient.utils import InferenceServerException

from registry_server.background import serving
from registry_server.engine import MemorySource
from registry_server.tensors import Limits


@pytest.fixture(scope="module")
def address(versions) -> Iterator[str]:
    """A server of any model, with an alias, that nobody else asks."""
    source = MemorySource(versions.values(), {("affine", "champion"): 1})
    with serving(source, [], any_model=True, threads=2) as url:
        yield url.removeprefix("http://")


@pytest.fixture
def client(address: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(address) as client:
        yield client


def x(n: int = 1) -> list[InferInput]:
    array = np.ones((n, 4), np.float32)
    tensor = InferInput("x", list(array.shape), "FP32")
    tensor.set_data_from_numpy(array)
    return [tensor]


def test_an_alias_answers_in_the_place_of_a_version(client, versions) -> None:
    answer = client.infer("affine", x(), "champion").get_response()
    assert answer["model_version"] == "1"
    assert answer["parameters"] == {"version": "1", "digest": versions["affine@1"].digest}
    assert client.get_model_metadata("affine", "champion")["parameters"] == answer["parameters"]
    assert not client.is_model_ready("affine", "nobody")


def test_statistics_count_requests_rows_and_runs(client) -> None:
    before = client.get_inference_statistics("affine", "2")["model_stats"]
    for n in (1, 3):
        client.infer("affine", x(n), "2")
    with pytest.raises(InferenceServerException):
        client.infer("affine", [], "2")
    (stats,) = client.get_inference_statistics("affine", "2")["model_stats"]
    old = before[0] if before else {"inference_count": 0, "execution_count": 0}
    assert stats["inference_count"] - old["inference_count"] == 4
    assert stats["execution_count"] - old["execution_count"] == 2
    spans = stats["inference_stats"]
    assert all(span["ns"] > 0 for key, span in spans.items() if key in ("success", "compute_infer"))
    assert {batch["batch_size"] for batch in stats["batch_stats"]} == {1, 3}
    assert stats["memory_usage"][0]["byte_size"] > 0
    names = {it["name"] for it in client.get_inference_statistics()["model_stats"]}
    assert "affine" in names


def test_config_says_what_may_be_batched(client) -> None:
    config = client.get_model_config("affine")
    assert config["max_batch_size"] == Limits().rows
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
    assert config["output"][1] == {
        "name": "z", "data_type": "TYPE_FP32", "dims": [1], "reshape": {"shape": []},
    }  # fmt: skip
    assert "dynamic_batching" in config


def test_the_index_tells_what_is_loaded_and_loading_is_undone_by_unloading(client) -> None:
    def states() -> dict[str, str]:
        return {it["name"]: it["state"] for it in client.get_model_repository_index()}

    client.load_model("log")
    assert client.is_model_ready("log")
    assert states()["log"] == "READY"
    client.unload_model("log")
    assert states()["log"] == "UNAVAILABLE"
    with pytest.raises(InferenceServerException, match="not found"):
        client.load_model("nope")
    with pytest.raises(InferenceServerException, match="not found"):
        client.unload_model("nope")
    with pytest.raises(InferenceServerException, match="publish it"):
        client.load_model("log", config='{"max_batch_size": 3}')


def test_a_timeout_of_the_client_is_honoured_and_a_generous_one_harmless(client) -> None:
    client.infer("affine", x())
    with pytest.raises(InferenceServerException) as caught:
        client.infer("affine", x(), timeout=1)  # microsecond
    assert caught.value.status() == "504"
    assert "timeout" in caught.value.message()
    assert client.infer("affine", x(), timeout=30_000_000).as_numpy("z") == pytest.approx([4])


def test_the_asynchronous_client_works_unmodified(address: str) -> None:
    async def work() -> list[float]:
        async with aio_client.InferenceServerClient(address) as client:
            assert await client.is_model_ready("affine")

            def aio_x(n: int) -> list[aio_client.InferInput]:
                array = np.full((1, 4), n, np.float32)
                tensor = aio_client.InferInput("x", [1, 4], "FP32")
                tensor.set_data_from_numpy(array)
                return [tensor]

            answers = await asyncio.gather(*(client.infer("affine", aio_x(n)) for n in range(32)))
            return [float(answer.as_numpy("z")[0]) for answer in answers]

    assert asyncio.run(work()) == [4.0 * n for n in range(32)]


def test_metrics_are_prometheus_text_with_the_names_of_triton(client, address: str) -> None:
    client.infer("affine", x(5), "1")
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = answer.read().decode().splitlines()
    sample = re.compile(r'^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? \d+$')
    assert [line for line in lines if not line.startswith("# ") and not sample.match(line)] == []
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    labels = '{model="affine",version="1"}'
    assert int(values[f"nv_inference_count{labels}"]) >= 5
    assert int(values[f"nv_inference_request_success{labels}"]) >= 1
    assert int(values["catalog_models_bytes"]) <= int(values["catalog_models_bytes_limit"])
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {line.split("{")[0].split(" ")[0] for line in lines if line[0] != "#"} <= typed
