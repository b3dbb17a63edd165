"""Many callers at once, of several models over every protocol: each gets its own rows, to the bit.

CATALOG_SOAK=10000 is the long form: that many requests of each of the 32 callers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import tritonclient.grpc as by_grpc
import tritonclient.http as by_http
from tiny_models import Version, dense
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from registry_server.app import create_app
from registry_server.background import running
from registry_server.engine import MemorySource
from registry_server.inference_grpc.listen import add_grpc

pytestmark = pytest.mark.slow
CALLERS, EACH = 32, int(os.environ.get("CATALOG_SOAK", "100"))
ROWS = (1, 1, 1, 2, 3, 8, 17)
REFS = ("affine@1", "affine@2", "gather@1", "wide@1", "dense@1")
Arrays = dict[str, np.ndarray]


def drawn(ref: str, rng: np.random.Generator) -> Arrays:
    n = int(rng.choice(ROWS))
    if ref == "gather@1":
        return {"x": rng.normal(size=n), "k": rng.integers(0, 3, n)}
    width = {"affine": 4, "wide": 1, "dense": 256}[ref.partition("@")[0]]
    return {"x": rng.normal(size=(n, width)).astype(np.float32)}


def ask(client, module, binary: bool | None, ref: str, inputs: Arrays) -> Arrays:
    """One request; `binary` is None where there is no such choice."""
    how = {} if binary is None else {"binary_data": binary}
    sent = []
    for name, array in inputs.items():
        tensor = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array, **how)
        sent.append(tensor)
    model, _, version = ref.partition("@")
    names = {"affine": ("y", "z"), "gather": ("scaled", "picked")}.get(model, ("y",))
    wanted = [module.InferRequestedOutput(name, **how) for name in names]
    answer = client.infer(model, sent, version, outputs=wanted)
    return {name: answer.as_numpy(name) for name in names}


def check(answer: Callable[[str, Arrays], Arrays], sessions, rng) -> tuple[str, str]:
    """Ask for good or for impossible rows; what came of it, if it is not wrong."""
    ref = str(rng.choice(REFS))
    inputs = drawn(ref, rng)
    if ref == "gather@1" and rng.random() < 0.2:
        inputs["k"][-1] = 99  # beside others in one batch, whose rows it must not spoil
        with pytest.raises(InferenceServerException) as caught:
            answer(ref, inputs)
        assert caught.value.status() in ("422", "StatusCode.INVALID_ARGUMENT")
        return ref, "refused"
    found = answer(ref, inputs)
    names = list(found)
    for name, expected in zip(names, sessions[ref].run(names, inputs), strict=True):
        assert found[name].dtype == expected.dtype
        assert found[name].shape == expected.shape
        assert found[name].tobytes() == expected.tobytes(), (ref, name, expected.shape)
    return ref, "answered"


def caller(number: int, url: str, address: str, sessions) -> Counter:
    rng, seen = np.random.default_rng(number), Counter()
    host = url.removeprefix("http://")
    with (
        by_http.InferenceServerClient(host, network_timeout=300) as http,
        by_grpc.InferenceServerClient(address) as grpc,
    ):
        ways = (
            partial(ask, http, by_http, True),
            partial(ask, http, by_http, False),
            partial(ask, grpc, by_grpc, None),
        )
        for _ in range(EACH):
            seen[check(ways[rng.integers(len(ways))], sessions, rng)] += 1
    return seen


def test_every_caller_gets_its_own_rows_and_none_is_lost(
    versions: dict[str, Version], tmp_path: Path
) -> None:
    dense(tmp_path / "dense", 1)
    more = {**versions, "dense@1": Version("dense", 1, f"sha256:{99:064x}", tmp_path / "dense")}
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {ref: ort.InferenceSession(more[ref].folder / "model.onnx", options) for ref in REFS}
    app = create_app(MemorySource([more[ref] for ref in REFS]), REFS, threads=2)
    add_grpc(app, "127.0.0.1", 0)
    seen: Counter = Counter()
    with running(app) as url, ThreadPoolExecutor(CALLERS) as pool:
        jobs = [pool.submit(caller, it, url, app.state.grpc, sessions) for it in range(CALLERS)]
        for job in jobs:
            seen += job.result()
        counted = {
            f"{name}@{version}": tally.success.count
            for name, version, tally, _ in app.state.engine.statistics()
        }
    assert seen.total() == CALLERS * EACH
    assert counted == {ref: seen[ref, "answered"] for ref in REFS}
    assert seen["gather@1", "refused"] > 0
