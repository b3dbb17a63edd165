"""Find a plug-in by name, in one of our entry-point groups; nothing foreign is imported before."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from catalog.errors import MissingExtra, NotFound


def load_plugin(group: str, name: str, *, what: str, extra: str, hint: str) -> Any:
    """Import what the entry point `name` of `catalog.<group>` names.

    Parameters
    ----------
    what : what the plug-in is, for messages ("model family")
    extra : the extra that brings its libraries

    Raises
    ------
    NotFound
        Nothing of that name is installed; lists what is.
    MissingExtra
        Its own libraries are not installed.
    """
    found = {entry.name: entry for entry in entry_points(group=f"catalog.{group}")}
    if name not in found:
        installed = ", ".join(sorted(found)) or "none"
        raise NotFound(f"no {what} {name!r} is installed; installed: {installed}", hint)
    try:
        return found[name].load()
    except ImportError as exc:
        raise MissingExtra(extra, f"the {what} {name!r}") from exc
