"""How the energies at different depths go together, in full simulation and in what is compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.physics.observables import Observables
from catalog.report.canvas import Plot, drawing, head, render
from catalog.report.curves import Array
from catalog.report.plots import Scene
from catalog.showers import PHYSICS_SHAPE

_DEPTH = np.asarray(PHYSICS_SHAPE.depth_x0)
_MAPS_PER_ROW = 2
_ROW = 3.0  # inches


def correlations(showers: Observables) -> Array:
    """(25, 25) correlation of the shares of energy between slices of 1 X0; NaN where constant."""
    shares = showers.longitudinal[np.isfinite(showers.longitudinal).all(1)]
    if len(shares) < 3:
        return np.full((len(_DEPTH) - 1,) * 2, np.nan)
    deviations = shares - shares.mean(0)
    spread = np.sqrt((deviations**2).mean(0))
    known = spread > 1e-9 * max(float(spread.max()), 1e-300)
    scaled = np.where(known, deviations / np.where(known, spread, 1.0), np.nan)
    found: Array = scaled.T @ scaled / len(shares)
    return found


def depth_correlations(scene: Scene) -> Plot:
    """Correlations of full simulation, then the difference of every set to them.

    Below the diagonal of a difference stands the floor's, to tell what is only noise.
    """
    reference = correlations(scene.reference)
    floor = None if scene.floor is None else correlations(scene.floor) - reference
    maps = {}
    for label, part in list(scene.sets.items())[1:]:
        difference = correlations(part) - reference
        maps[label] = difference if floor is None else np.triu(difference) + np.tril(floor, -1)
    half = max([0.1, *(float(np.nanmax(np.abs(d), initial=0.0)) for d in maps.values())])
    about = "difference to full sim. [1]"
    if floor is not None:
        about += "\nbelow the diagonal: the floor's"
    rows = -(-(1 + len(maps)) // _MAPS_PER_ROW)
    with drawing(_ROW * rows) as figure:
        grid = figure.subplots(rows, _MAPS_PER_ROW, squeeze=False).ravel()
        _map(figure, grid[0], reference, 1.0, "correlation [1]")
        head(grid[0], "Full simulation", "")
        for axis, (label, values) in zip(grid[1:], maps.items(), strict=False):
            _map(figure, axis, values, half, about)
            head(axis, "", label)
        for spare in grid[1 + len(maps) :]:
            spare.set_visible(False)
        return render(figure, scene.pictures)


def _map(figure: Any, axis: Any, values: Array, half: float, what: str) -> None:
    """Both axes are depth; the colours reach from -half to half."""
    mesh = axis.pcolormesh(_DEPTH, _DEPTH, values.T, cmap="RdBu_r", vmin=-half, vmax=half)
    mesh.set_rasterized(True)  # 625 paths a map would make the page heavy
    axis.set_aspect("equal")
    axis.set_xlabel(r"Depth [$X_0$]")
    axis.set_ylabel(r"Depth [$X_0$]")
    bar = figure.colorbar(mesh, ax=axis, location="bottom", aspect=25)
    bar.set_label(what, loc="center", size=9)
