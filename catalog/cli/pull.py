"""catalog pull."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.pull import copy_out, pull


def run(
    ref: str = typer.Argument(help="name, name@3 or name@sha256:..."),
    to: Path = typer.Option(None, "--out", help="Copy the version into this folder."),
    as_bytes: bool = typer.Option(
        False, "--as-bytes", help="Also what has no model.onnx: files are verified, never loaded."
    ),
    as_json: bool = out.JSON,
) -> None:
    """Fetch a version, verify it and print its folder. Example: cd $(catalog pull vae-pbwo4)"""
    pulled = pull(ref, as_bytes=as_bytes)
    folder = copy_out(pulled, to) if to else pulled.folder
    value = {"ref": pulled.ref, "digest": pulled.digest, "path": str(folder)}
    out.emit(value, as_json, lambda: str(folder))
