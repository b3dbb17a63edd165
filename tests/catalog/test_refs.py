"""What people may type for a model."""

from __future__ import annotations

import pytest

from catalog.errors import UsageError
from catalog.refs import Ref, parse_ref, prefix_of


@pytest.mark.parametrize("name", ["toy", "käse-модель", "電子 shower", "3dgan", "a"])
def test_names_of_any_language_are_references(name: str) -> None:
    assert parse_ref(f"lab:{name}@2") == Ref(name, store="lab", version=2)


@pytest.mark.parametrize("name", ["-x", "--help", "_x"])
def test_a_name_like_an_option_is_a_reference_after_its_store(name: str) -> None:
    assert parse_ref(f"{prefix_of('mlflow', 'mlflow', name)}{name}@2") == Ref(name, "mlflow", 2)
    with pytest.raises(UsageError, match="not a model reference"):
        parse_ref(name)


def test_a_reference_names_the_store_only_where_it_must() -> None:
    assert prefix_of("lab", "lab", "toy") == ""
    assert prefix_of("lab", "mlflow", "toy") == "lab:"
    assert prefix_of("mlflow+https://host", "mlflow", "-x") == ""


@pytest.mark.parametrize(
    "text",
    ["", "-x", ".x", "_x", "../x", "a/b", "a:b:c", "a\x1b[31m", "a\n", "a\nb", " a", "a ", "..",
     "a@@1", "lab:.x", "lab:-\n", "x@", "x@0", "x@-1", "$X", "a" * 251, "x@a;b"],
)  # fmt: skip
def test_what_could_be_an_option_a_path_or_a_command_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a model reference"):
        parse_ref(text)
