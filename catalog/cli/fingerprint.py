"""catalog fingerprint."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.data import BINNING, DETECTOR, PARTICLE, told
from catalog.errors import UsageError
from catalog.fingerprint.ask import find_kept
from catalog.fingerprint.file import write_kept
from catalog.fingerprint.present import as_dict, human
from catalog.settings import load_settings


def run(
    subject: str = typer.Argument(
        metavar="FILE|MODEL",
        help="A shower file, a fingerprint (.npz), a version folder (with a /) or a reference.",
    ),
    to: Path = typer.Option(None, "-o", "--output", help="Write the fingerprint to this .npz."),
    force: bool = typer.Option(False, "--force", help="Overwrite the file if it exists."),
    record: bool = typer.Option(
        False, "--record", help="Take that of the model in a version folder, and keep it there."
    ),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    as_json: bool = out.JSON,
) -> None:
    """Summarise showers in a few kilobytes that can be compared, merged and shared."""
    if to and to.suffix != ".npz":
        raise UsageError(f"{to} is no name of a fingerprint", f"-o {to.with_suffix('.npz')}")
    if to and to.exists() and not force:
        raise UsageError(f"{to} exists", "give another -o, or --force to replace it")
    if to and not to.parent.is_dir():
        raise UsageError(f"{to.parent}: no such folder", f"mkdir -p {to.parent}")
    asked = told(detector, particle, binning)
    kept = find_kept(subject, load_settings(), record, watch=out.progress, **asked)
    if to:
        write_kept(to, kept)
        out.say(f"wrote {to}")
    out.emit(as_dict(kept), as_json, lambda: human(kept))
