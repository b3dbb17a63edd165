"""catalog validate."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.data import BINNING, DATA, DETECTOR, PARTICLE, SKIP, open_target, told
from catalog.physics.present import human
from catalog.validate import Validation, check_recordable, find_subject, record, validate


def run(
    subject: str = typer.Argument(
        metavar="MODEL|FILE",
        help="A reference, a version folder (with a /), or a shower file (.h5, .hdf5, .root).",
    ),
    data: Path = DATA,
    to: Path = typer.Option(None, "--out", help="Write validation.json, plots and a page here."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier --out folder."),
    detector: str = DETECTOR,
    particle: str = PARTICLE,
    binning: Path = BINNING,
    skip: int = SKIP,
    showers: int = typer.Option(None, min=1, help="Use at most this many showers of the data."),
    seed: int = typer.Option(0, help="Seed of the generated showers."),
    keep: bool = typer.Option(
        False, "--record", help="Write the result into the version folder: card, validation.json."
    ),
    as_json: bool = out.JSON,
) -> None:
    """Compare a model, or other showers, with full simulation; exit 1 if a gate fails."""
    asked = told(detector, particle, binning)
    found = find_subject(subject, **asked, watch=out.progress)
    if keep:
        check_recordable(found)
    if to:
        from catalog.report.canvas import need_matplotlib
        from catalog.report.folder import check_free, write_folder
        from catalog.report.validation import files_of

        need_matplotlib()  # both before minutes of work
        check_free(to, force)
    done = validate(found, open_target(data, asked, showers, skip), seed, skip)
    if to:
        write_folder(to, files_of(done), force)
        out.say(f"wrote {to / 'index.html'}")
    if keep:
        out.say(f"recorded in {record(done)} and card.yaml")
    out.emit(done.document(), as_json, lambda: _text(done))
    if not done.passed:
        raise typer.Exit(1)


def _text(done: Validation) -> str:
    return "\n\n".join((human(done.result, done.ref, done.matched), *done.warnings))
