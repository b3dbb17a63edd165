"""What a version must show for a protected alias: a whole validation of this very model.

The store is asked, not the index, which is only a cache; and the numbers are judged again, not the
word "passed" in the card. Whoever forges card, document and checksum alike is not found out here
but by running the validation again: the document names data, seed and version.
"""

from __future__ import annotations

from catalog.card import FULL, Card, Physics
from catalog.errors import CatalogError
from catalog.pull import read_manifest
from catalog.stores.protocol import Committed, Store
from catalog.sync import fetch_card, fetch_file
from catalog.testvectors import MODEL_FILE
from catalog.validation_file import (
    MAX_VALIDATION,
    VALIDATION_FILE,
    Document,
    parse_validation,
)

LEAST_SHOWERS = 200  # on each side; with fewer the limits are mostly what chance allows


def why_not(version: Committed, store: Store) -> str | None:
    """Why a version has not earned a protected alias; None if it has."""
    if not version.digest:
        return "it has no card"
    try:
        card = fetch_card(store, version)
        result = _at_home(card)
        if isinstance(result, str):
            return result
        entries = {entry.path: entry for entry in read_manifest(store, version).entries}
        if VALIDATION_FILE not in entries:
            return f"it has no {VALIDATION_FILE}, which its card repeats"
        data = fetch_file(store, version, VALIDATION_FILE, MAX_VALIDATION)
        document = parse_validation(data, VALIDATION_FILE)
    except CatalogError as exc:
        return f"its card cannot be read: {exc.message.splitlines()[0]}"
    model = entries.get(MODEL_FILE)
    if model is None or document.model != model.digest:
        return f"its {VALIDATION_FILE} is of another {MODEL_FILE}"
    if document.physics() != result:
        return f"its {VALIDATION_FILE} is not what its card says"
    return _why_not_good(document)


def _at_home(card: Card) -> Physics | str:
    """The last validation on the card's own detector, or why there is none."""
    own = card.domain.detector.name
    if not card.physics:
        return "its card holds no validation"
    here = [result for result in card.physics if result.detector == own]
    if here:
        return here[-1]
    others = sorted({result.detector for result in card.physics} - {""})
    if not others:
        return "its validation was recorded without its gates, by an older catalog"
    return f"it was validated on {', '.join(others)}, but is made for {own}"


def _why_not_good(document: Document) -> str | None:
    """Judge the numbers themselves, by the gates that this version of the catalog knows."""
    from catalog.physics.gates import TOLERANCES  # numpy, only on use

    if contradictions := document.problems():
        return f"its {VALIDATION_FILE}: {'; '.join(contradictions)}"
    if document.intact is None:
        return f"its {VALIDATION_FILE} has no checksum: it was recorded by an older catalog"
    if document.reference != FULL:
        return f"it was validated on a {document.reference}, which is no full simulation"
    failed = [gate.name for gate in document.gates if not gate.passed]
    if failed:
        return f"its recorded validation failed: {', '.join(failed)}"
    names = [gate.name for gate in document.gates]
    absent = [name for name in TOLERANCES if name not in names]
    if absent:
        return f"its recorded validation did not judge {', '.join(absent)}"
    strict = [g.name for g in document.gates if g.limit < TOLERANCES.get(g.name, 0.0)]
    if strict:
        return f"its recorded validation has limits that this catalog never sets: {strict[0]}"
    if document.n < LEAST_SHOWERS:
        return (
            f"it was validated with {document.n} showers against {document.n}: "
            f"at least {LEAST_SHOWERS} on each side are needed"
        )
    return None
