"""The one sink: data to stdout, words to stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from catalog.errors import cannot_write

JSON = typer.Option(False, "--json", help="Print JSON.")


def emit(value: Any, as_json: bool, human: Callable[[], str], also: Path | None = None) -> None:
    """Print data: JSON if asked for, else what `human` writes; JSON goes `also` to a file."""
    if also:
        write_json(also, value)
    text = json.dumps(value, indent=2, allow_nan=False) if as_json else printable(human())
    try:
        typer.echo(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `catalog search | head` is no failure
        sys.stderr.close()


def write_json(path: Path, value: Any) -> None:
    """Write a file of JSON: the whole of it or none.

    Raises
    ------
    UsageError
        It cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as exc:
        raise cannot_write(path, exc) from exc
    finally:
        part.unlink(missing_ok=True)


def say(message: str) -> None:
    """Tell the user something that is not data."""
    typer.echo(printable(message), err=True)


def printable(text: str) -> str:
    """Without control characters: a stranger's card must not steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def progress(what: str) -> Callable[[int, int], None]:
    """A progress line: rewritten in place on a terminal, ten plain lines elsewhere."""
    terminal = sys.stderr.isatty()
    last, began = [-1], time.monotonic()

    def show(done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        left = (time.monotonic() - began) * (total - done) / max(done, 1)
        text = f"{done}/{total}" + (f", {left:.0f} s left" if 0 < done < total else "")
        if terminal:
            bar = "#" * (3 * tenth)
            sys.stderr.write(f"\r{what} [{bar:<30}] {text:<30}" + ("\n" if done >= total else ""))
            sys.stderr.flush()
        elif tenth != last[0]:
            say(f"{what} {text}")
        last[0] = tenth

    return show
