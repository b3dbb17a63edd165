"""A hostile version harms the process that checks it, and is refused with a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from house import House, build
from onnx import TensorProto, helper, numpy_helper

from catalog.manifest import build_manifest
from registry_server.api import gate
from registry_server.api.registry import Bounds
from tests.toys import generator_folder


def published(house: House, folder: Path) -> Any:
    """The answer to the commit of a folder."""
    files = [
        {"path": it.path, "size": it.size, "digest": it.digest}
        for it in build_manifest(folder).entries
    ]
    begun = house.ask("owner", "POST", "/uploads", json={"name": "toy", "files": files})
    upload = begun.json()["id"]
    for it in files:
        data = (folder / it["path"]).read_bytes()
        house.ask("owner", "PUT", f"/uploads/{upload}/files/{it['digest']}", content=data)
    return house.ask("owner", "POST", f"/uploads/{upload}/commit")


def refused(house: House, folder: Path) -> str:
    answer = published(house, folder)
    assert answer.status_code == 422, answer.text
    assert list(house.store.versions()) == []
    assert house.ask("reader", "GET", "/models").status_code == 200
    assert "/tmp/" not in answer.text
    return answer.json()["error"]["message"]


def with_first(folder: Path, change: Any) -> None:
    """Let something be done to the energies before the showers are made of them."""
    path = folder / "model.onnx"
    model = onnx.load(path)
    for node in model.graph.node:
        node.input[:] = ["changed" if it == "energy_gev" else it for it in node.input]
    change(model.graph)
    onnx.save(model, path)


def greedy(graph: onnx.GraphProto) -> None:
    """64 GB of zeros are added up."""
    graph.initializer.append(numpy_helper.from_array(_array([1 << 34]), "many"))
    nodes = [
        helper.make_node("ConstantOfShape", ["many"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["energy_gev", "zero"], ["changed"]),
    ]
    for node in reversed(nodes):
        graph.node.insert(0, node)


def endless(graph: onnx.GraphProto) -> None:
    """A loop that will not end in a lifetime."""
    value = [helper.make_tensor_value_info(it, TensorProto.FLOAT, None) for it in ("was", "is")]
    go = [helper.make_tensor_value_info(it, TensorProto.BOOL, []) for it in ("go", "goes")]
    turn = helper.make_tensor_value_info("turn", TensorProto.INT64, [])
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]),
         helper.make_node("Sin", ["was"], ["is"])],
        "body", [turn, go[0], value[0]], [go[1], value[1]],
    )  # fmt: skip
    graph.initializer.append(numpy_helper.from_array(_array(1 << 60), "turns"))
    loop = helper.make_node("Loop", ["turns", "", "energy_gev"], ["changed"], body=body)
    graph.node.insert(0, loop)


def _array(value: Any) -> Any:
    return np.array(value, np.int64)


def test_a_model_that_wants_all_memory_gets_none(tmp_path: Path) -> None:
    house, folder = build(tmp_path), generator_folder(tmp_path / "toy")
    with_first(folder, greedy)
    assert "alloc" in refused(house, folder) or "memory" in refused(house, folder)


def test_a_model_that_never_ends_is_ended(tmp_path: Path) -> None:
    house, folder = build(tmp_path, Bounds(gate=5.0)), generator_folder(tmp_path / "toy")
    with_first(folder, endless)
    assert "takes more than 5 s" in refused(house, folder)


def program(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Instead of the gate: what a hostile model may make of the process that runs it."""
    monkeypatch.setattr(gate, "_COMMAND", (sys.executable, "-c", f"import os, sys\n{text}"))


def test_a_crash_is_not_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house, folder = build(tmp_path), generator_folder(tmp_path / "toy")
    program(monkeypatch, "os.kill(os.getpid(), 11)")
    assert "SIGSEGV" in refused(house, folder)


def test_what_was_checked_is_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the process that ran a model was taken over by it."""
    house, folder = build(tmp_path), generator_folder(tmp_path / "toy")
    fine = 'print(\'{"problems": [], "hint": ""}\')'
    card = "card = sys.argv[1] + '/card.yaml'\ntext = open(card).read()"
    program(monkeypatch, f"{card}\nopen(card, 'w').write(text.replace('toy', 'his'))\n{fine}")
    assert "changed while" in refused(house, folder)
    program(monkeypatch, f"open(sys.argv[1] + '/more.txt', 'w').write('x')\n{fine}")
    assert "changed while" in refused(house, folder)
    program(monkeypatch, fine)
    assert published(house, folder).json()["ref"] == "toy@1"


def test_a_process_that_says_nothing_is_our_fault_and_its_words_stay_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, folder = build(tmp_path), generator_folder(tmp_path / "toy")
    program(monkeypatch, "print('[]')\nsys.exit('secret')")
    answer = published(house, folder)
    assert (answer.status_code, "secret" in answer.text) == (502, False)


def test_the_process_is_told_no_secret_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, folder = build(tmp_path), generator_folder(tmp_path / "toy")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    text = "import json\nprint(json.dumps({'problems': sorted(os.environ), 'hint': ''}))"
    program(monkeypatch, text)
    assert "PGPASSWORD" not in refused(house, folder)


def test_it_ends_with_the_server(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    with_first(folder, endless)
    child = subprocess.Popen(
        [*gate._COMMAND, str(folder), str(16 << 30), "600"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin and child.stdout
    child.stdin.close()
    assert child.wait(30) == 1
    assert child.stdout.read() == b""
    child.stdout.close()
