"""catalog detectors."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.domain import detector_names, load_detector, present
from catalog.domain.vocabulary import parse_detector
from catalog.errors import NotFound, UsageError


def run(
    action: str = typer.Argument("ls", help="ls, show or check; or a name or file to show."),
    what: str = typer.Argument(None, help="A known name, or your own YAML file."),
    as_json: bool = out.JSON,
) -> None:
    """List known detectors (ls), show one (show NAME), or check your own (check FILE.yaml)."""
    if action == "ls":
        if what:
            raise UsageError("ls takes no name", f"catalog detectors show {what}")
        known = [present.facts(load_detector(name)) for name in detector_names()]
        out.emit({"detectors": known}, as_json, lambda: present.many(known))
        return
    name = what if action in ("show", "check") else action
    if name is None or (what and name == action):
        raise UsageError(f"{action} what?", "catalog detectors [ls | show NAME | check FILE.yaml]")
    if action == "check" and not Path(name).is_file():
        raise NotFound(f"no file {name!r}", "catalog detectors ls  shows the known ones")
    found = present.facts(parse_detector(Path(name)) if action == "check" else load_detector(name))
    out.emit({"detectors": [found]}, as_json, lambda: present.one(found))
