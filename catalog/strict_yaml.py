"""YAML from outside: plain values only, and words for everything else.

PyYAML's safe loader runs no code, but hostile or mistyped text still makes it expand aliases to
gigabytes, overwrite a key silently, or raise whatever `int("abc")` raises.
"""

from __future__ import annotations

from typing import Any, NoReturn

import yaml
from yaml.constructor import ConstructorError

_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(("str", "int", "float", "bool", "null", "map", "seq"))
_MAX_NUMBER = 64  # characters; longer ones take seconds to parse, and mean nothing


def load_yaml(text: str) -> Any:
    """Parse one document of plain values.

    Raises
    ------
    ValueError
        Saying what is wrong, and where.
    """
    try:
        return yaml.load(text, Loader=_Strict)  # noqa: S506  it is a SafeLoader
    except yaml.YAMLError as exc:
        raise ValueError(f"not valid YAML: {exc}") from exc
    except RecursionError as exc:
        raise ValueError("not valid YAML: nested too deeply") from exc


class _Strict(yaml.SafeLoader):
    """No aliases, no merge keys, no duplicate keys, no tags beyond plain values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse `*alias`."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that appears twice."""
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == f"{_TAG}merge":
                _refuse(key, "merge keys (<<) are not allowed")
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    _refuse(key, f"the key {key.value[:80]!r} appears twice")
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Refuse what is no plain value, and say what does not read as its type."""
        kind = node.tag.removeprefix(_TAG)
        scalar = isinstance(node, yaml.ScalarNode)
        shown = f"{node.value[:60]!r}" if scalar else f"a {node.id}"
        if kind == "timestamp":
            _refuse(node, f"{shown} reads as a date: put it in quotes")
        if kind not in _PLAIN:
            _refuse(node, f"{shown}: only text, numbers, yes/no, lists and maps; else quote it")
        if scalar and kind != "str" and len(node.value) > _MAX_NUMBER:
            _refuse(node, f"{shown}... is a {kind} of {len(node.value)} characters")
        if scalar and any("\ud800" <= letter <= "\udfff" for letter in node.value):
            _refuse(node, f"{shown}: half of a surrogate pair, not text")
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
            _refuse(node, f"{shown} is not a valid {kind}", exc)


def _refuse(node: Any, problem: str, cause: Exception | None = None) -> NoReturn:
    raise ConstructorError(None, None, problem, node.start_mark) from cause
