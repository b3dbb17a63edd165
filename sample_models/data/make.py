"""Make the shipped shower files from the full-simulation originals.

    python -m sample_models.data.make SOURCE_DIR

Each file keeps the first showers of its original, a cell threshold is applied and energies are
rounded, so that everything together is a few MB. What was done is in each file's `provenance`;
tests/sample_models/test_shipped.py holds what it may do to the observables.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """How one original is cut down."""

    name: str
    detector: str
    showers: int
    threshold_mev: float  # cells below become 0
    bits: int  # significant bits kept of each cell energy


SAMPLES = (
    Sample("par04-siw-electron", "par04-siw", 1600, 0.01, 8),
    Sample("pbwo4-electron", "pbwo4-block", 1000, 0.1, 6),
    Sample("clic-siw-photon", "clic-siw", 1800, 0.01, 7),
)


def main() -> None:
    """Write all samples beside this file."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m sample_models.data.make SOURCE_DIR")
    for sample in SAMPLES:
        path = make(sample, Path(sys.argv[1]), FOLDER)
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")


def make(sample: Sample, source: Path, folder: Path) -> Path:
    """Write one sample; the same original gives the same showers."""
    origin = json.loads((source / f"{sample.name}.json").read_text(encoding="utf-8"))
    path = folder / f"{sample.name}.h5"
    with h5py.File(source / f"{sample.name}.h5", "r") as old, h5py.File(path, "w") as new:
        rows = slice(0, sample.showers)
        showers = reduce(old["showers"][rows], sample)
        new.create_dataset(
            "showers",
            data=showers,
            chunks=(min(100, len(showers)), showers.shape[1]),
            shuffle=True,
            compression="gzip",
            compression_opts=9,
        )
        incident = old["incident_energies"][rows].astype(np.float32)
        new.create_dataset("incident_energies", data=incident)
        _describe(new, sample, origin)
    return path


def reduce(showers: NDArray[np.float32], sample: Sample) -> NDArray[np.float32]:
    """Apply the threshold and round to the nearest value of `bits` significant bits."""
    kept = np.where(showers >= sample.threshold_mev, showers, 0).astype(np.float32)
    mantissa, exponent = np.frexp(kept)
    steps = 2.0**sample.bits
    rounded: NDArray[np.float32] = np.ldexp(np.round(mantissa * steps) / steps, exponent)
    return rounded.astype(np.float32)


def _describe(file: h5py.File, sample: Sample, origin: dict[str, Any]) -> None:
    """Geometry and provenance as attributes, so that the file stands alone."""
    grid, slabs = origin["grid"], origin["slabs"]
    file.attrs["detector"] = sample.detector
    file.attrs["pdg"] = origin["pdg"]
    file.attrs["mesh_shape"] = origin["shape"]
    file.attrs["cell_mm"] = [grid["cell_x_mm"], grid["cell_y_mm"]]
    file.attrs["layer_mm"] = sum(slab["thickness_mm"] for slab in slabs) / grid["n_layers"]
    said = ("title", "particle", "energy", "seed", "simulator", "physics", "scoring", "beam")
    provenance = {key: origin[key] for key in (*said, "units", "voxel_order")}
    provenance["selection"] = f"first {sample.showers} showers of {sample.name}.h5"
    provenance["reduction"] = (
        f"cells below {sample.threshold_mev} MeV set to 0, cell energies rounded to "
        f"{sample.bits} significant bits"
    )
    provenance["note"] = "simplified flat stack: not any experiment's official simulation"
    file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)


if __name__ == "__main__":
    main()
