"""Made-up truths whose answer is known."""

from __future__ import annotations

import numpy as np

from benchmarks.transfer.stored import PROBES, Truth

SCORES = (
    "aligned_w1_geomean", "aligned_frechet", "aligned_energy", "aligned_sliced_w1", "c2st",
    "coverage", "energy", "fidelity", "frechet", "kpd", "mmd_poly3", "mmd_rbf", "rkme",
    "sliced_w1", "w1_geomean", "likelihood_fit", "median_fit", "aligned_median_fit",
    "fp_samples_w1", "fp_samples_frechet", "fp_data_w1", "fp_data_frechet", "fp_vector",
    "calibrated_w1_geomean", "calibrated_frechet", "calibrated_energy", "calibrated_sliced_w1",
)  # fmt: skip


def made_truth(
    seed: int = 0, targets: int = 12, sources: int = 16, *, effect: float = 0.5,
    fit: float = 0.5, noise: float = 0.02, score_noise: float = 0.3, level: float = 0.3,
) -> Truth:  # fmt: skip
    """ln reached = level of the target + effect of the source + their own fit + noise of a draw.

    Every score is the fit with noise; `w1_geomean` has none of it.
    """
    rng = np.random.default_rng(seed)
    cell = (3, targets, 3, sources)
    hard, good = level * rng.normal(size=(targets, 1)), effect * rng.normal(size=sources)
    own = fit * rng.normal(size=(targets, sources))
    ln = (hard + good + own)[None, :, None] + noise * rng.normal(size=cell) - 1.5
    scores = -own[None, :, None, :, None] + score_noise * rng.normal(size=(*cell, len(SCORES)))
    scores[..., SCORES.index("w1_geomean")] = -own[None, :, None]
    return Truth(
        sources=np.array([f"m{i}" for i in range(sources)]),
        family=np.array([("cvae", "flow")[i % 2] for i in range(sources)]),
        source_detector=np.array([f"d{i}" for i in range(sources)]),
        source_pdg=np.array([(11, 22)[i // 2 % 2] for i in range(sources)]),
        n_train=rng.uniform(300, 6000, sources),
        parameters=rng.uniform(1e5, 2e5, sources),
        self_w1=rng.uniform(0.05, 0.3, sources),
        source_geometry=rng.normal(size=(sources, 5)),
        targets=np.array([f"t{i}" for i in range(targets)]),
        target_detector=np.array([f"t{i}" for i in range(targets)]),
        target_pdg=np.array([(11, 22)[i % 2] for i in range(targets)]),
        full=np.zeros(targets, bool),
        target_geometry=rng.normal(size=(targets, 5)),
        floor=np.exp(hard[None] + np.zeros((3, 1, 3))),
        names=np.array(SCORES),
        seconds_of=np.ones(len(SCORES)),
        reached=np.exp(ln),
        probe=np.exp(ln)[..., None] * np.ones(len(PROBES)),
        run_s=np.ones(cell),
        scratch=np.exp(ln[..., :2] + 0.5),
        scores=scores,
    )
