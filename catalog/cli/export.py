"""catalog export."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.interchange import export_version
from catalog.pull import find


def run(
    form: str = typer.Argument(
        metavar="FORMAT", help="cyclonedx, fair4ml, huggingface, kubeflow, oci-artifact or triton."
    ),
    ref: str = typer.Argument(
        help="name, name@3, name@sha256:..., or a version folder (with a /)."
    ),
    to: Path = typer.Option(..., "--out", "-o", help="A new folder; nothing is overwritten."),
    uri: str = typer.Option("", help="Where others can fetch the version, if the format says so."),
    as_json: bool = out.JSON,
) -> None:
    """Write a version for another catalog. Example: catalog export huggingface vae-sim -o hf/"""
    pulled = find(ref)
    export_version(form, pulled, to, uri)
    value = {"ref": pulled.ref, "digest": pulled.digest, "format": form, "path": str(to)}
    out.emit(value, as_json, lambda: str(to))
