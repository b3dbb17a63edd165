"""Validate a model, or showers that something else made, against full simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from catalog.blur import blur_warning
from catalog.card import FULL, PARAMETRISED, Reference, write_card
from catalog.compat import cannot_generate, check_target, refuse_copies, same_calorimeter
from catalog.errors import CatalogError, UsageError, cannot_write
from catalog.matching import match_energies
from catalog.physics.observables import observe
from catalog.physics.present import as_dict
from catalog.physics.validate import REFERENCE, Comparison, compare, measure, spread
from catalog.pull import Pulled, find
from catalog.seen import refuse_seen
from catalog.showers import Showers, fraction_of
from catalog.showers.showerfile import open_showers
from catalog.validation_file import VALIDATION_FILE, Document, model_digest, sealed, to_bytes

SHOWER_FILES = (".h5", ".hdf5", ".root")
_OTHER_SCALE = 3.0  # one calorimeter's two fractions: one file is corrected for sampling
_NO_TRUTH = (
    "reference: parametrised simulation. {} is no full simulation, as it says itself: passing here "
    "tells that two parametrisations agree, and never makes a version champion."
)
_ASKED = "generated at the energies and angles of the data"


@dataclass(frozen=True)
class Validation:
    """One subject beside full simulation.

    ref : the model's reference, or the name of the shower file; its label in `result`
    matched : how its showers were brought to the conditions of the data
    """

    ref: str
    subject: Pulled | Showers
    target: Showers
    matched: str
    seed: int
    result: Comparison

    @property
    def passed(self) -> bool:
        """Whether it met every gate."""
        return all(gate.passed for gate in self.result.gates(self.ref))

    @property
    def reference(self) -> Reference:
        """What the data are, as their file tells."""
        return PARAMETRISED if self.target.parametrised else FULL

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers must know beside them."""
        found = [_NO_TRUTH.format(self.target.source)] if self.target.parametrised else []
        if not isinstance(self.subject, Pulled) and (
            said := blur_warning(self.subject, self.target)
        ):
            found.append(said)
        return tuple(found)

    def document(self) -> dict[str, Any]:
        """What `--json` prints and `validation.json` holds; no clock, so it can be repeated."""
        subject, target = self.subject, self.target
        model = isinstance(subject, Pulled)
        document = {
            **as_dict(self.result, self.ref),
            "reference": self.reference,
            "warnings": list(self.warnings),
            "kind": "model" if model else "showers",
            "model": model_digest(subject.folder) if isinstance(subject, Pulled) else None,
            "showers_digest": None if isinstance(subject, Pulled) else subject.digest,
            "matching": self.matched,
            "seed": self.seed,
            "detector": self._detector(),
            "pdg": target.pdg,
            "energy_gev": [float(target.incident_gev.min()), float(target.incident_gev.max())],
            "dataset_digest": target.digest,
            "dataset_showers": len(target),
            "catalog_version": version("hep-model-catalog"),
        }
        return sealed(document)

    def _detector(self) -> str:
        """The data's detector; by the model's own name for it, if it is the same."""
        found = self.target.detector
        if isinstance(self.subject, Pulled):
            own = self.subject.card.domain.detector
            return own.name if same_calorimeter(own, found) else found.name
        return found.name


def find_subject(text: str, **asked: Any) -> Pulled | Showers:
    """A shower file (by its suffix, or a '/' in its path), a version folder, or a reference.

    `asked` is what `open_showers` is asked of a shower file.
    """
    path = Path(text)
    if path.suffix.lower() in SHOWER_FILES or ("/" in text and path.is_file()):
        return open_showers(path, **asked)
    return find(text)


def validate(
    subject: Pulled | Showers, target: Showers, seed: int = 0, skipped: int = 0
) -> Validation:
    """Compare a subject with full simulation that it has not seen.

    Parameters
    ----------
    skipped : how many showers of the data were left out before `target`

    Raises
    ------
    UsageError, NothingFits
        The two cannot be compared; says why.
    """
    check_target(target)
    if not isinstance(subject, Pulled):
        return _validate_showers(subject, target, seed)
    if why := cannot_generate(subject.card, target):
        raise UsageError(f"{subject.ref} cannot be validated on {target.source}: {why}")
    refuse_seen({subject.ref: subject}, target, skipped, "--skip")
    result = compare({subject.ref: subject}, target, seed)
    return Validation(subject.ref, subject, target, _ASKED, seed, result)


def _validate_showers(showers: Showers, target: Showers, seed: int) -> Validation:
    """Beside the data, with one sampling fraction for both: a wrong response must show."""
    refuse_copies(showers)
    fraction, how = fraction_of(target), ""
    detector = target.detector.model_copy(update={"sampling_fraction": fraction})
    matched = match_energies(showers, target.of(detector))
    if (own := _own_scale(showers, target)) is not None:
        how = f"; each by the sampling fraction that it states: {own:g}, {fraction:g}"
        fraction = own
    found = observe(matched.showers, fraction)
    ref = showers.source or "showers"
    bare = compare({}, matched.target, seed, matched.halves)
    reference = bare.observables[REFERENCE]
    result = replace(
        bare,
        observables={**bare.observables, ref: found},
        metrics={ref: measure(found, reference)},
        errors={ref: spread(found, reference)},
    )
    return Validation(ref, showers, target, matched.how + how, seed, result)


def _own_scale(showers: Showers, target: Showers) -> float | None:
    """The showers' own sampling fraction, if one of the two files is corrected for sampling.

    Raises
    ------
    UsageError
        Their cells hold energies of other scales, and not both files state a sampling fraction: it
        could as well be a wrong unit.
    """
    own, theirs = showers.detector.sampling_fraction, target.detector.sampling_fraction
    if own is not None and theirs is not None:
        return None if 1 / _OTHER_SCALE < own / theirs < _OTHER_SCALE else own
    held = [float(s.visible_gev.sum() / s.incident_gev.sum()) for s in (showers, target)]
    if held[0] and held[1] and not 1 / _OTHER_SCALE < held[0] / held[1] < _OTHER_SCALE:
        raise UsageError(
            f"the cells of {showers.source} hold {held[0]:.3g} of the incident energy, those of "
            f"{target.source} {held[1]:.3g}: is one corrected for sampling, or in another unit?",
            "state the sampling_fraction of each file's detector, or correct the unit",
        )
    return None


def check_recordable(subject: Pulled | Showers) -> None:
    """Refuse to record in what is not a version folder of the user's.

    Raises
    ------
    UsageError
    """
    if not isinstance(subject, Pulled):
        raise UsageError("--record needs a version folder: a shower file has no card")
    if subject.version:
        raise UsageError(
            "--record needs a folder: a published version never changes",
            f"get a folder of it: catalog pull {subject.ref} --out {subject.name}/",
        )


def record(done: Validation) -> Path:
    """Write the result into the folder of an unpublished version: its card, and the whole of it.

    Raises
    ------
    CatalogError
        The folder cannot be written.
    """
    if not isinstance(done.subject, Pulled):
        raise CatalogError("nothing to record in: a shower file has no card")
    folder, document = done.subject.folder, done.document()
    entry = Document.model_validate(document).physics()
    temp = folder / f".{VALIDATION_FILE}.part"
    try:
        temp.write_bytes(to_bytes(document))
        temp.replace(folder / VALIDATION_FILE)
        write_card(folder, done.subject.card.model_copy(update={"physics": (entry,)}))
    except OSError as exc:
        raise cannot_write(folder, exc) from exc
    finally:
        temp.unlink(missing_ok=True)
    return folder / VALIDATION_FILE
