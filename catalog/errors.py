"""The error tree (drawn, so that it stays small).

CatalogError            something the user can act on: what was wrong, and the next command
  UsageError            the request itself is wrong (exit 2)
  NotFound              no such model, version, file or detector (exit 3)
  NothingFits           nothing in the catalog can serve this target (exit 3)
  NotAuthorised         the store refused who we are (exit 4)
  BadFile               a file from outside is broken, hostile or of an unknown kind
  CheckFailed           the publish gate refused; carries every problem at once
  DigestMismatch        bytes are not the bytes that were published
  BadSignature          nobody we were told to trust vouches for a version
  StoreError            a store answered badly, or not at all
    Unreachable         it does not answer now; the same may succeed in a while
  LaunchError           what was to run a job refused it, or does not answer
  MissingExtra          an optional part is not installed
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class CatalogError(Exception):
    """Something went wrong that the user can act on."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CatalogError):
    """The request itself is wrong."""


class NotFound(CatalogError):
    """There is no such model, version, file or detector."""


class NothingFits(CatalogError):
    """Nothing in the catalog can serve this target."""


class NotAuthorised(CatalogError):
    """The store refused who we are."""


class BadFile(CatalogError):
    """A file from outside is broken, hostile or of an unknown kind."""


class CheckFailed(CatalogError):
    """The gate refused; every problem is in `problems`."""

    def __init__(self, what: str, problems: Sequence[str], hint: str = "") -> None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{what}: {len(problems)} problem(s)\n{lines}", hint)
        self.problems = tuple(problems)


class DigestMismatch(CatalogError):
    """The bytes are not the bytes that were published."""


class BadSignature(CatalogError):
    """Nobody we were told to trust vouches for a version."""


class StoreError(CatalogError):
    """A store answered badly, or not at all."""


class Unreachable(StoreError):
    """A store or a database does not answer now; the same may succeed in a while."""


class LaunchError(CatalogError):
    """An engine refused a job, or does not answer."""


class MissingExtra(CatalogError):
    """An optional part is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the extra '{extra}', which is not installed",
            f"pip install 'hep-model-catalog[{extra}]'",
        )


def cannot_write(path: Path, exc: Exception) -> CatalogError:
    """The error for a place that cannot be written: full, read-only, not ours."""
    reason = getattr(exc, "strerror", None) or str(exc).splitlines()[0][:200]
    if "No space left" in str(exc):
        reason = "no space left on device"
    return CatalogError(
        f"{path}: cannot be written: {reason}",
        f"free some space, or choose another place: df -h {path}",
    )
