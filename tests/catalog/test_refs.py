"""What people may type for a model."""

from __future__ import annotations

import pytest

from catalog.errors import UsageError
from catalog.refs import Ref, parse_ref


@pytest.mark.parametrize("name", ["toy", "käse-модель", "電子 shower", "3dgan", "a"])
def test_names_of_any_language_are_references(name: str) -> None:
    assert parse_ref(f"lab:{name}@2") == Ref(name, store="lab", version=2)


@pytest.mark.parametrize(
    "text",
    ["", "-x", ".x", "_x", "../x", "a/b", "a:b:c", "a\x1b[31m", "a\n", "a\nb", " a", "a ", "..",
     "a@@1", "x@", "x@0", "x@-1", "$X", "a" * 251, "x@a;b"],
)  # fmt: skip
def test_what_could_be_an_option_a_path_or_a_command_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a model reference"):
        parse_ref(text)
