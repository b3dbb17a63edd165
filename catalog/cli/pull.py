"""catalog pull."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from catalog.cli import out
from catalog.pull import copy_out, pull
from catalog.settings import load_settings


def run(
    ref: str = typer.Argument(help="name, name@3 or name@sha256:..."),
    to: Path = typer.Option(None, "--out", help="Copy the version into this folder."),
    as_bytes: bool = typer.Option(
        False, "--as-bytes", help="Also what has no model.onnx: files are verified, never loaded."
    ),
    require_signature: bool = typer.Option(
        False, "--require-signature", help="Give out only what the key's owner has signed."
    ),
    public_key: Path = typer.Option(None, help="PEM file of that key; implies the former."),
    as_json: bool = out.JSON,
) -> None:
    """Fetch a version, verify it and print its folder. Example: cd $(catalog pull vae-pbwo4)"""
    settings = load_settings()
    if require_signature or public_key:
        settings = replace(settings, require_signature=True, public_key=public_key)
    pulled = pull(ref, settings, as_bytes=as_bytes)
    folder = copy_out(pulled, to) if to else pulled.folder
    value = {"ref": pulled.ref, "digest": pulled.digest, "path": str(folder)}
    out.emit(value, as_json, lambda: str(folder))
