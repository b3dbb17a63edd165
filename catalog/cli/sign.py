"""catalog sign."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from catalog.cli import out
from catalog.errors import UsageError
from catalog.signed import SIGNATURE_FILE
from catalog.signing import sign


def run(
    folder: Path = typer.Argument(help="A version folder, complete."),
    key: Path = typer.Option(..., "--key", help="Private key, PEM, P-256, P-384 or P-521."),
    password_env: str = typer.Option(None, help="Variable that holds the key's password."),
    as_json: bool = out.JSON,
) -> None:
    """Check a version folder and sign it. Example: catalog sign my-model/ --key key.pem"""
    if password_env and password_env not in os.environ:
        raise UsageError(f"{password_env} is not set", f"export {password_env}=...")
    manifest = sign(folder, key, os.environ[password_env] if password_env else None, out.say)
    path = folder / SIGNATURE_FILE
    out.emit({"signature": str(path), "digest": manifest.digest}, as_json, lambda: str(path))
    out.say(f"{manifest.digest}\n  next: catalog publish {folder}")
