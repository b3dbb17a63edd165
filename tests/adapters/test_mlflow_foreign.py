"""MLflow's own description of a model is read as text, whatever it says."""

from __future__ import annotations

import io
from contextlib import contextmanager

import pytest

from catalog.errors import NotFound
from catalog_mlflow._foreign import tell

TENSORS = """
flavors:
  python_function: {loader_module: mlflow.pytorch}
  pytorch: {model_data: data, pytorch_version: 2.6.0}
signature:
  inputs: '[{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 1]}}]'
"""
COLUMNS = """
flavors: {sklearn: {}}
signature:
  inputs: '[{"type": "double", "name": "e"}, {"type": "string", "name": "s"}, {"type": "long", "name": "n"}]'
"""  # noqa: E501


class Shelf:
    """A folder with one file."""

    def __init__(self, data: bytes | None) -> None:
        self._data = data

    @contextmanager
    def open(self, path: str):
        if self._data is None or path != "MLmodel":
            raise NotFound(path)
        yield io.BytesIO(self._data)


def test_framework_and_tensors_are_told() -> None:
    told = tell(Shelf(TENSORS.encode()), "words", {"k": "v"})  # type: ignore[arg-type]
    assert (told.framework, told.description, told.tags) == ("pytorch", "words", {"k": "v"})
    assert [(s.name, s.dtype, s.shape) for s in told.inputs] == [("x", "float32", (-1, 3))]
    assert [(s.name, s.shape) for s in told.outputs] == [("", (-1, 1))]


def test_columns_are_tensors_and_what_no_card_can_say_is_left_out() -> None:
    told = tell(Shelf(COLUMNS.encode()), "", {})  # type: ignore[arg-type]
    assert told.framework == "sklearn"
    assert [(s.name, s.dtype) for s in told.inputs] == [("e", "float64"), ("n", "int64")]


@pytest.mark.parametrize(
    "data",
    [
        None, b"", b"\xff\xfe", b"- a list", b"flavors: 3", b"signature: [1]", b"a: &b [x]\nc: *b",
        b"[" * 100_000, b"x: '" + b"y" * 2_000_000 + b"'", b"!!python/object/apply:os.abort []",
        b"signature: {inputs: '" + b"[" * 100_000 + b"'}", b"signature: {inputs: '{}'}",
        b"""signature: {inputs: '[3, {"type": "tensor", "tensor-spec": {"shape": "x"}}]'}""",
        b"""signature: {inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32",
        "shape": [-9, "x", 1e999]}}]'}""",
    ],
)  # fmt: skip
def test_hostile_descriptions_add_nothing(data: bytes | None) -> None:
    told = tell(Shelf(data), "words", {})  # type: ignore[arg-type]
    assert (told.framework, told.inputs, told.outputs) == ("", (), ())
    assert told.description == "words"
