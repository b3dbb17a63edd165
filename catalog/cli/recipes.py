"""The option that lists the shipped recipes."""

from __future__ import annotations

import typer

from catalog.adapt.recipe import load_recipe, recipe_names
from catalog.text import table


def _list(asked: bool) -> None:
    if asked:
        rows = [[name, load_recipe(name).about] for name in recipe_names()]
        typer.echo(table(["recipe", "what it does"], rows))
        raise typer.Exit


LIST = typer.Option(
    False, "--list-recipes", is_eager=True, callback=_list, help="List the shipped recipes."
)
