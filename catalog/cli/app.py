"""The typer application: the body of one verb, and the help lines of the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import typer

from catalog.cli.verbs import VERBS, load

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
    app.callback()(_options)
    for name, verb in VERBS.items():
        body: Callable[..., Any] = load(name) if name == wanted else _not_loaded
        app.command(name, help=None if name == wanted else verb.help)(body)
    return app


def _not_loaded() -> None:
    """Stand for a verb that was not asked for; never runs."""


def _options(
    context: typer.Context,
    registry: str = typer.Option(
        None, help="Work through this registry: https://host, or the name of one."
    ),
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("hep-model-catalog"))
        raise typer.Exit
    if registry is not None or os.environ.get("CATALOG_REGISTRY"):
        from catalog.remote.choose import choose_registry

        choose_registry(registry, context.invoked_subcommand or "")
