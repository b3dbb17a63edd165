"""Where the known detectors lie on the map: short vectors of their parametrised simulation.

They are shipped, because 25 simulations are a minute of work. Made by `python -m
registry_server.web.known`; a test makes one of them again.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from catalog.domain import Detector, load_detector
from catalog.domain.vocabulary import detector_names
from catalog.errors import CatalogError
from catalog.fingerprint import fingerprint, vector_of
from catalog.fingerprint.vector import Vector
from catalog.simulate.beam import draw_beam
from catalog.simulate.readout import readout_mesh
from catalog.simulate.run import simulate

FILE = "known.npz"
_SHOWERS, _ENERGIES, _PDG = 300, (1.0, 100.0), 22


@lru_cache(maxsize=1)
def known_detectors() -> tuple[list[tuple[str, str]], Vector]:
    """(name, technology) of each, and the vectors: (M, 139)."""
    with as_file(files("registry_server.web").joinpath(FILE)) as path, np.load(path) as kept:
        names, vectors = [str(name) for name in kept["names"]], kept["vectors"]
    here = [name in detector_names() for name in names]
    told: list[tuple[str, str]] = [(it, load_detector(it).technology or "")
                                   for it in names if it in detector_names()]  # fmt: skip
    return told, vectors[here]


def vector_of_detector(detector: Detector) -> Vector | None:
    """The vector of a few hundred simulated photons; None where there is nothing to simulate."""
    try:
        mesh = readout_mesh(detector)
        beam = draw_beam(_PDG, _SHOWERS, _ENERGIES)
        return vector_of(fingerprint(simulate(detector, mesh, beam)))
    except CatalogError:
        return None


def main() -> None:
    """Write the file."""
    made = {name: vector_of_detector(load_detector(name)) for name in detector_names()}
    found = {name: vector for name, vector in made.items() if vector is not None}
    path = Path(__file__).parent / FILE
    np.savez_compressed(path, names=np.array(list(found)), vectors=np.array(list(found.values())))
    print(f"{len(found)} detectors in {path}")


if __name__ == "__main__":
    main()
