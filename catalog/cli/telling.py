"""Progress of verbs that take one version or many."""

from __future__ import annotations

from collections.abc import Callable

from catalog.cli import out

Tell = Callable[[int, int], None]


def progress_of(ref: str | None) -> tuple[Tell, Tell]:
    """Two progress lines, of which one speaks: in bytes of one version, or in versions of many."""
    if ref:
        return out.progress(ref), _nothing
    return _nothing, out.progress("versions")


def _nothing(done: int, total: int) -> None:
    """Tell nothing."""
