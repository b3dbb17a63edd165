"""The fingerprint of a model version: of the showers that trained it, and of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from catalog.card import Card
from catalog.errors import CatalogError, UsageError
from catalog.fingerprint.axes import ENERGY_EDGES, FEWEST
from catalog.fingerprint.file import FINGERPRINT_FILE, Kept, read_kept, write_kept
from catalog.fingerprint.sums import Fingerprint, fingerprint, summary
from catalog.physics.validate import sample_model
from catalog.pull import Pulled
from catalog.showers import Showers, ShowerSet

SAMPLES = 500  # generated showers: 80 per bin of 1 to 100 GeV


def of_model(pulled: Pulled, seed: int = 0) -> Fingerprint:
    """The fingerprint of `SAMPLES` showers of a generator, all over its own domain.

    Raises
    ------
    UsageError
        It is no generator, or its card gives no energies that a fingerprint has bins for.
    """
    domain, shape = pulled.card.domain, pulled.card.domain.shape
    if shape is None or not domain.particles or not domain.energy_gev:
        raise UsageError(f"{pulled.ref}: its card gives no mesh in X0 and R_M, particle or energy")
    low, high = np.clip(domain.energy_gev, ENERGY_EDGES[0], ENERGY_EDGES[-1])
    if low > domain.energy_gev[1] or high < domain.energy_gev[0]:
        raise UsageError(f"{pulled.ref}: it generates no showers of 0.0464 to 10,000 GeV")
    known = domain.detector.sampling_fraction is not None
    stated = {} if known else {"sampling_fraction": 1.0}
    share = (np.arange(SAMPLES) + 0.5) / SAMPLES
    asked = ShowerSet(
        energies=np.zeros((SAMPLES, 0), np.float32),  # only the conditions are asked for
        incident_gev=np.asarray(low * (high / low) ** share),
        theta_rad=np.random.default_rng(seed).uniform(*(domain.theta_rad or (0.0, 0.0)), SAMPLES),
        mesh=shape.shape().mesh(1.0, 1.0),
        detector=domain.detector.model_copy(update=stated),
        pdg=domain.particles[0],
    )
    response = None if known else 1.0
    seen = sample_model(pulled, asked, asked.incident_gev, seed, response=response)
    return summary(seen, known)


def of_training(used: Showers) -> Fingerprint | None:
    """The fingerprint of training showers, without bins of fewer than `FEWEST`; None if no other.

    What is published shows no shower on its own.
    """
    try:
        return fingerprint(used, FEWEST)
    except UsageError:
        return None


def write_fingerprint(folder: Path, card: Card, used: Showers) -> None:
    """Keep with a new version what trained it and what it generates."""
    try:
        samples = of_model(Pulled(card.name, 0, "", folder, card))
    except CatalogError:
        samples = None  # no energy of it has a bin, or it does not run at all of them
    data = of_training(used)
    if data or samples:
        write_kept(folder / FINGERPRINT_FILE, Kept(data, samples))


def record_samples(pulled: Pulled) -> Kept:
    """Take the fingerprint of a model and keep it in its unpublished version folder.

    Raises
    ------
    UsageError, CatalogError
    """
    path = pulled.folder / FINGERPRINT_FILE
    kept = Kept(read_kept(path).data if path.is_file() else None, of_model(pulled))
    write_kept(path, kept)
    return kept
