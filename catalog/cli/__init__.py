"""The command `catalog`. Only the verb that was asked for is imported: it must start at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from catalog.cli.app import build_app
from catalog.errors import (
    CatalogError,
    NotAuthorised,
    NotFound,
    NothingFits,
    UsageError,
)

EXIT_CODES = ((UsageError, 2), (NotFound, 3), (NothingFits, 3), (NotAuthorised, 4))


def main() -> None:
    """Run the command line and turn errors into a message, the next command and an exit code."""
    wanted = wanted_verb(sys.argv[1:])
    try:
        build_app(wanted)()
    except CatalogError as exc:
        fail(exc.message, exc.hint, _exit_code(exc), exc)
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename else ""
        fail(f"{exc.strerror or exc}{where}", "check free space and permissions", 1, exc)
    except Exception as exc:  # noqa: BLE001  the last boundary: a user never sees a traceback
        fail(f"internal error: {type(exc).__name__}: {exc}", "see it all: CATALOG_DEBUG=1", 1, exc)


def wanted_verb(words: Sequence[str]) -> str | None:
    """The verb of a command line: the first word that is no option, nor belongs to one."""
    left = iter(words)
    for word in left:
        if word == "--registry":
            next(left, None)
        elif not word.startswith("-"):
            return word
    return None


def fail(message: str, hint: str, code: int, exc: BaseException) -> None:
    """Print what was wrong and what to type next, and leave."""
    if os.environ.get("CATALOG_DEBUG") == "1":
        raise exc
    from catalog.cli.out import say

    say(f"catalog: {message}")
    if hint:
        say(f"  next: {hint}")
    raise SystemExit(code)


def _exit_code(exc: CatalogError) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(exc, kind)), 1)
