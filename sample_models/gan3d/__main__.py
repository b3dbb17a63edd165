"""Train 3DGAN at full size: on simulated showers, then on full simulation.

    python -m sample_models.gan3d --version fixed --simulate pbwo4-block --showers 100000
        --minutes 3 --data FILE.h5 --tune-minutes 1 --out FOLDER

Either kind of showers may be left out. The last showers of --data judge; without it, simulated
ones do. Writes checkpoint.safetensors whenever the judge likes a step better than all before, and
at the end model.onnx, critic.onnx and run.json. The reference trains 30 to 120 epochs of 100,000
showers: minutes are not that.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from catalog.errors import CatalogError
from sample_models.gan3d.full import train
from sample_models.gan3d.model import CELLS, UNIT_GEV


def main() -> int:
    """Train, write, and tell how it went."""
    asked = _parser().parse_args()
    try:
        facts = train(asked)
    except CatalogError as exc:
        print(f"error: {exc.message}\n  {exc.hint}", file=sys.stderr)
        return 1
    print(json.dumps({k: v for k, v in facts[-1].items() if k != "curve"}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sample_models.gan3d", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--version", choices=tuple(CELLS), required=True)
    add("--simulate", metavar="DETECTOR", help="pretrain on simulated showers of this detector")
    add("--showers", type=int, default=100_000, help="how many to simulate")
    add("--particle", type=int, default=11, help="PDG id of simulated particles")
    add("--energy", type=float, nargs=2, default=(10.0, 100.0), metavar=("LOW", "HIGH"),
        help="GeV; of simulated showers, and of those of --data that are used")  # fmt: skip
    add("--theta", type=float, nargs=2, default=(0.0, 0.0), metavar=("LOW", "HIGH"), help="rad")
    add("--threshold-mev", type=float, default=0.1, help="simulated cells below become 0")
    add("--minutes", type=float, default=4.0, help="of training on simulated showers")
    add("--data", type=Path, help="full simulation, in any format that `catalog` reads")
    add("--tune-minutes", type=float, default=1.0, help="of training on --data")
    add("--start", type=Path, help="a checkpoint of the same version to go on from")
    add("--unit-gev", type=float, default=UNIT_GEV, help="of energies; the reference's is 100")
    add("--batch", type=int, help="default: the reference's, 128 or 64")
    add("--lr", type=float, help="default 0.001 from nothing, 0.0003 from a checkpoint")
    add("--schedule", choices=("constant", "late", "cosine"), default="constant")
    add("--ema", type=float, default=0.0, help="decay of an averaged generator; 0 is the reference")
    add("--freeze", type=int, default=0, help="lower blocks of the discriminator that --data keeps")
    add("--augment", type=float, default=0.0, help="probability of turning a batch of --data")
    add("--seed", type=int, default=0)
    add("--out", type=Path, required=True, help="folder to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
