"""catalog doctor."""

from __future__ import annotations

import typer

from catalog.cli import out
from catalog.doctor import as_dict, examine, healthy, human


def run(as_json: bool = out.JSON) -> None:
    """Look for what is wrong with this installation: extras, folders, index, stores."""
    found = examine()
    out.emit(as_dict(found), as_json, lambda: human(found))
    if not healthy(found):
        raise typer.Exit(1)
