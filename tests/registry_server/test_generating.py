"""Showers by particle and energy."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from asking import ask, check_refused
from tiny_models import Version

from catalog.card import read_card
from catalog.errors import UsageError
from catalog.generate import generate, open_session
from registry_server.asked import unless_gone
from registry_server.background import serving
from registry_server.engine import MemorySource

FOLDER = Path(__file__).parents[2] / "sample_models/versions/vae-clic-siw"
PLACE = "/v2/models/vae-clic-siw/generate"


@pytest.fixture(scope="module")
def generators(versions) -> Iterator[str]:
    model = Version("vae-clic-siw", 4, "sha256:" + "0" * 64, FOLDER)
    with serving(MemorySource([model, versions["affine@1"]]), [], any_model=True, threads=1) as url:
        yield url


@pytest.fixture
def door(generators: str) -> Iterator[http.client.HTTPConnection]:
    door = http.client.HTTPConnection(generators.removeprefix("http://"), timeout=60)
    yield door
    door.close()


def order(door: http.client.HTTPConnection, **asked: Any) -> dict[str, Any]:
    status, body, _ = ask(door, PLACE, json.dumps(asked))
    assert status == 200, body
    return json.loads(body)


def test_showers_are_those_that_the_catalog_generates(door) -> None:
    answer = order(door, particle="gamma", energy_gev=50, n=70, seed=3)
    assert answer["parameters"]["unit"] == "GeV"
    assert answer["model_version"] == "4"
    (output,) = answer["outputs"]
    got = np.array(output["data"], np.float32).reshape(output["shape"])
    card = read_card(FOLDER)
    direct = generate(open_session(FOLDER / "model.onnx"), card, np.full(70, 50.0), 22, 3)
    assert got.shape == direct.shape
    assert np.allclose(got, direct, rtol=1e-4, atol=1e-7)


def test_one_energy_per_shower_in_binary_is_the_same_answer(door) -> None:
    asked = {"particle": 22, "energy_gev": [5, 20.5, 99], "seed": 1}
    data = order(door, **asked)["outputs"][0]["data"]
    status, body, headers = ask(door, PLACE, json.dumps({**asked, "binary": True}))
    assert status == 200
    raw = body[int(headers["Inference-Header-Content-Length"]) :]
    assert np.frombuffer(raw, np.float32).tolist() == data


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"particle": "e-", "energy_gev": 50}, "made for gamma, not for e-"),
        ({"particle": "gamma", "energy_gev": 500}, "made for 1 to 100 GeV, asked for 500"),
        (
            {"particle": "gamma", "energy_gev": 50, "theta_rad": 0.3},
            "made for 0 to 0 rad to the axis of the mesh, asked for 0.3",
        ),
    ],
)
def test_outside_the_domain_is_refused_with_the_domain_or_flagged(door, asked, said) -> None:
    status, body, _ = ask(door, PLACE, json.dumps(asked))
    assert status == 422
    assert f"vae-clic-siw@4: {said}" in check_refused(status, body)
    answer = order(door, **asked, outside="flag")
    assert answer["parameters"]["outside"] == said
    assert answer["outputs"][0]["shape"][0] == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "'particle' must be"),
        ({"particle": "e-", "energy": 3}, "unknown key 'energy'"),
        ({"particle": "quark", "energy_gev": 3}, "unknown particle 'quark'"),
        ({"particle": "gamma"}, "'energy_gev' must be a number"),
        ({"particle": "gamma", "energy_gev": -1}, "above 0"),
        ({"particle": "gamma", "energy_gev": 1e40}, "'energy_gev' must be a number"),
        ({"particle": "gamma", "energy_gev": [1, 2], "n": 3}, "2 numbers for 3 showers"),
        ({"particle": "gamma", "energy_gev": 3, "n": 0}, "'n' must be a whole number"),
        ({"particle": "gamma", "energy_gev": 3, "n": 10**6}, "above the limit of 1024"),
        ({"particle": "gamma", "energy_gev": 3, "seed": 1.5}, "'seed' must be a whole"),
        ({"particle": "gamma", "energy_gev": 3, "outside": "hide"}, "'outside' must be"),
    ],
)
def test_a_wrong_order_says_what_is_wrong(door, asked: dict[str, Any], said: str) -> None:
    status, body, _ = ask(door, PLACE, json.dumps(asked))
    assert said in check_refused(status, body)


def test_a_model_without_a_card_or_without_showers_says_so(door) -> None:
    body = json.dumps({"particle": "gamma", "energy_gev": 3})
    status, answer, _ = ask(door, "/v2/models/affine/generate", body)
    assert "affine@1 has no card" in check_refused(status, answer)


def test_work_is_cancelled_when_its_client_goes() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def both() -> None:
        with pytest.raises(UsageError, match="connection closed"):
            await unless_gone(SimpleNamespace(receive=receive), work())
        await asyncio.sleep(0)

    asyncio.run(both())
    assert ended == ["cancelled"]


def test_an_answer_is_not_lost_by_watching_the_client() -> None:
    async def work() -> str:
        await asyncio.sleep(0.02)
        return "answer"

    async def receive() -> None:
        await asyncio.sleep(60)

    assert asyncio.run(unless_gone(SimpleNamespace(receive=receive), work())) == "answer"
