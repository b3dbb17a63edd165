"""The command `catalog`. Only the verb that was asked for is imported: it must start at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from catalog.cli.verbs import VERBS, load
from catalog.errors import (
    CatalogError,
    NotAuthorised,
    NotFound,
    NothingFits,
    UsageError,
)

EXIT_CODES = ((UsageError, 2), (NotFound, 3), (NothingFits, 3), (NotAuthorised, 4))
_HELP = """Find a pretrained model, know how well it will adapt, adapt it, validate, publish, serve.

Data goes to stdout, everything else to stderr. Exit: 0 done, 1 failed, 2 wrong usage,
3 nothing found or nothing fits, 4 not authorised."""


def build_app(wanted: str | None) -> typer.Typer:
    """The application, with the body of one verb loaded and only the help lines of the others."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_version_option)
    for name, verb in VERBS.items():
        body: Callable[..., Any] = load(name) if name == wanted else _not_loaded
        app.command(name, help=None if name == wanted else verb.help)(body)
    return app


def main() -> None:
    """Run the command line and turn errors into a message, the next command and an exit code."""
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        build_app(wanted)()
    except CatalogError as exc:
        fail(exc.message, exc.hint, _exit_code(exc), exc)
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename else ""
        fail(f"{exc.strerror or exc}{where}", "check free space and permissions", 1, exc)
    except Exception as exc:  # noqa: BLE001  the last boundary: a user never sees a traceback
        fail(f"internal error: {type(exc).__name__}: {exc}", "see it all: CATALOG_DEBUG=1", 1, exc)


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


def _not_loaded() -> None:
    """Stand for a verb that was not asked for; never runs."""


def _version_option(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("hep-model-catalog"))
        raise typer.Exit
