"""The folder that training leaves: a version, complete and ready to be published."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.adapt.family import CHECKPOINT_FILE, Checkpoint, Family, Plan, write_checkpoint
from catalog.card import CARD_FILE, Card, Training, card_yaml, read_card
from catalog.domain import Domain, TensorSpec
from catalog.domain.domain import ShapeSpec
from catalog.errors import UsageError, cannot_write
from catalog.fingerprint.version import write_fingerprint
from catalog.seen import keys_of, write_seen
from catalog.showers import ShowerSet
from catalog.testvectors import MODEL_FILE, write_test_vectors


@dataclass(frozen=True)
class Exported:
    """What a card says of an exported model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    domain: Domain


def export_version(
    folder: Path, family: Family, checkpoint: Checkpoint, used: ShowerSet
) -> Exported:
    """Write checkpoint and ONNX files of a model trained on `used` (its first detector)."""
    write_checkpoint(checkpoint, folder / CHECKPOINT_FILE)
    inputs, outputs = family.export(checkpoint, folder / MODEL_FILE)
    family.export_scorer(checkpoint, folder / family.scorer)
    shape = family.shape(checkpoint.config)
    domain = Domain(
        detector=used.detector,
        particles=(used.pdg,),
        energy_gev=(float(used.incident_gev.min()), float(used.incident_gev.max())),
        theta_rad=(float(used.theta_rad.min()), float(used.theta_rad.max())),
        shape=ShapeSpec(kind=shape.kind, depth_x0=shape.depth_x0, a=shape.a, b_rm=shape.b_rm),
    )
    return Exported(tuple(inputs), tuple(outputs), domain)


def finish_version(
    folder: Path, card: Card, used: Sequence[ShowerSet], ancestors: Sequence[Any] = ()
) -> Card:
    """Write card, test vectors, the keys of the showers it has seen, and its fingerprint.

    The fingerprint is of the first detector, the one that the card is about.
    """
    (folder / CARD_FILE).write_text(card_yaml(card), encoding="utf-8")
    write_test_vectors(folder, card)
    write_seen(folder, *(keys_of(showers) for showers in used), *ancestors)
    write_fingerprint(folder, card, used[0])
    return read_card(folder)


def training_record(used: Sequence[ShowerSet], plan: Plan, **more: Any) -> Training:
    """How it was trained. No date, no duration: the same run writes the same bytes."""
    recipe = plan.recipe.model_dump(mode="json", exclude_defaults=True, exclude={"about"})
    return Training(
        dataset=" + ".join(Path(showers.source).name for showers in used),
        dataset_digest=_digest(used[0].digest),
        showers=sum(len(showers) for showers in used),
        steps=plan.steps,
        seed=plan.seed,
        recipe={"strategy": plan.recipe.strategy, **recipe, "batch": plan.batch, **more},
    )


def _digest(text: str) -> str | None:
    found = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", text)
    return f"sha256:{found[1]}" if found else None


def unfinished(out: Path) -> Path:
    """Where the snapshots of a run that will become `out` lie."""
    return out.with_name(f"{out.name}.unfinished")


def refuse_taken(out: Path) -> None:
    """Refuse a folder with something in it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty", "give another --out, or remove it")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when everything in it is written."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if out.is_dir():
            out.rmdir()  # empty, or refuse_taken() would have refused it
        folder.replace(out)
    except OSError as exc:
        raise cannot_write(out, exc) from exc
    finally:
        shutil.rmtree(folder, ignore_errors=True)
