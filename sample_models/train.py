"""Train models: the door for torchrun, and the sample models.

    python -m sample_models.train FAMILY --data F.h5 --out DIR ...    as `catalog train`
    torchrun --nproc-per-node 2 -m sample_models.train FAMILY --data F.h5 --out DIR ...
    python -m sample_models.train NAME ... | --all                    sample models (zoo.py)

A sample model is written to versions/NAME/ beside this file.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time

from catalog.showers.reader import read_showers
from sample_models import regressor
from sample_models.zoo import DATA, FILES, SEED, VERSIONS, ZOO, make


def main() -> None:
    """Train what is asked for."""
    if "--data" in sys.argv:
        from catalog.cli import main as catalog

        sys.argv[1:1] = ["train"]
        catalog()
        return
    names = [*ZOO, regressor.NAME]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*names, []], metavar="NAME", help=str(names))
    parser.add_argument("--all", action="store_true", help="train every sample")
    asked = parser.parse_args()
    for name in names if asked.all else asked.names:
        started = time.monotonic()
        if name == regressor.NAME:
            showers = read_showers(DATA / FILES["clic-siw"][0])
            regressor.write(VERSIONS / name, showers, SEED, f"1 core, {platform.machine()}")
        else:
            make(name)
        print(f"{name}: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
