"""catalog simulate."""

from __future__ import annotations

from pathlib import Path

import typer

from catalog.cli import out
from catalog.cli.stopping import stop_at_next_step
from catalog.domain import load_detector
from catalog.errors import UsageError
from catalog.index.query import parse_particle
from catalog.simulate.beam import draw_beam
from catalog.simulate.readout import readout_mesh
from catalog.simulate.write import write_showers


def run(
    detector: str = typer.Option(..., "--detector", help="A known name, or your own YAML file."),
    particle: str = typer.Option("e-", "--particle", help="e-, e+, gamma, pi+, ... or a PDG id."),
    energy: str = typer.Option("1..100", "--energy", help="GeV: E or LOW..HIGH (uniform in ln E)."),
    n: int = typer.Option(1000, "--n", min=1, max=10_000_000, help="Number of showers."),
    output: Path = typer.Option(..., "-o", "--output", help="The HDF5 file to write."),
    seed: int = typer.Option(0, "--seed", min=0, help="The same seed gives the same showers."),
    theta: str = typer.Option("0", "--theta", help="Angle of incidence, rad: T or LOW..HIGH."),
    cells: int = typer.Option(25, "--cells", min=1, max=1000, help="Cells per side of a layer."),
    layers: int = typer.Option(None, "--layers", min=1, max=1000, help="Readout layers."),
    force: bool = typer.Option(False, "--force", help="Overwrite the file if it exists."),
    as_json: bool = out.JSON,
) -> None:
    """Simulate showers of a detector by parametrisation (not full simulation), as HDF5."""
    found = load_detector(detector)
    mesh = readout_mesh(found, cells, layers)
    first = mesh.layers[0]
    beam = draw_beam(
        parse_particle(particle), n, _range(energy, "--energy 1..100"), seed=seed,
        theta_rad=_range(theta, "--theta 0..0.3, in radians"),
        spot_mm=(first.b[1] - first.b[0], first.a[1] - first.a[0]),
    )  # fmt: skip
    show = stop_at_next_step(out.progress(f"simulating {found.name}"))
    write_showers(output, found, mesh, beam, seed, force=force, progress=show)
    facts = {"file": str(output), "detector": found.name, "pdg": beam.pdg, "showers": n}
    out.emit({**facts, "mesh_shape": mesh.shape, "seed": seed}, as_json, lambda: str(output))


def _range(text: str, example: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    try:
        return float(low), float(high if dots else low)
    except ValueError as exc:
        raise UsageError(f"{text!r} is no number and no range LOW..HIGH", example) from exc
