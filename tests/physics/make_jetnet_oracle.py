"""FPD and KPD of jetnet on seeded arrays: writes `jetnet_oracle.json` beside this file.

Run it in an environment of its own, for jetnet 0.2.5 needs an old numpy and many packages:

    python3.11 -m venv oracle
    oracle/bin/pip install numpy==1.26.4 torch numba h5py jetnet==0.2.5
    oracle/bin/pip uninstall pyarrow      # wants numpy 2
    oracle/bin/python tests/physics/make_jetnet_oracle.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

KEPT = Path(__file__).with_name("jetnet_oracle.json")
# n showers a side, F features, shift and widening of the sample in units of the spread
CASES = {
    "equal": {"seed": 1, "n": 200_000, "features": 6, "shift": 0.0, "wider": 0.0},
    "shifted": {"seed": 2, "n": 200_000, "features": 6, "shift": 0.2, "wider": 0.0},
    "wider": {"seed": 3, "n": 200_000, "features": 6, "shift": 0.0, "wider": 0.15},
    "many features": {"seed": 4, "n": 200_000, "features": 24, "shift": 0.1, "wider": 0.05},
    "few showers": {"seed": 5, "n": 50_000, "features": 24, "shift": 0.1, "wider": 0.05},
}


def arrays(
    seed: int, n: int, features: int, shift: float, wider: float
) -> tuple[np.ndarray, np.ndarray]:
    """Correlated, skewed columns far from zero, as observables are: (sample, reference)."""
    rng = np.random.default_rng(seed)
    mix = np.eye(features) + 0.5 * np.tri(features, k=-1) / np.sqrt(features)
    reference, sample = (rng.gamma(4.0, 0.5, (n, features)) - 2.0 for _ in range(2))
    sample = (1 + wider) * sample + shift
    return 5 + sample @ mix.T, 5 + reference @ mix.T


def main() -> None:
    """Ask jetnet."""
    from jetnet.evaluation import fpd, kpd

    kept = {}
    for name, case in CASES.items():
        sample, reference = arrays(**case)
        found = {"fpd": fpd(reference, sample), "kpd": kpd(reference, sample)}
        kept[name] = {
            "case": case,
            **{k: {"value": float(v), "error": float(e)} for k, (v, e) in found.items()},
        }
        print(name, kept[name])
    KEPT.write_text(json.dumps({"jetnet": "0.2.5", "cases": kept}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
