"""What scores cost. Ratios of processor time within one process; both sides run in turn.

`gram_speedup`: LogME, H-score and shrunk H-score of 10,000 x 512 features with 10 classes from one
Gram pass, against the three as they are published, written down here: LogME by SVD and the fixed
point of every column (arXiv 2110.10545), H-score by two covariance matrices and a pseudo-inverse
(ICIP 2019), its shrunk form with the Ledoit-Wolf estimate (arXiv 2110.06893). All on one thread.

`rank_10k_s`: 10,000 models ordered by their short vectors. `recommend_1k_s`: a whole recommendation
for 1,000 showers among 1,000 models, of which twelve are run; seconds on the clock, on all cores,
reading the file and starting Python left out. The shipped generators are real, all others are
their cards with vectors that were moved away, and copies of them where they are run.
`recommend_1k_cpu_s` is the processor time of all threads: on a busy machine it tells more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import pinvh

from catalog.adapt.log import read_records
from catalog.card import CARD_FILE, card_yaml, read_card
from catalog.fingerprint import fingerprint, rank, read_kept, stack
from catalog.index import Row, open_index
from catalog.index.rows import row_of
from catalog.manifest import MANIFEST_FILE, build_manifest
from catalog.scoring.recommend import recommend
from catalog.scoring.scores.gram import gram, spectrum
from catalog.scoring.scores.h_score import h_score, shrunk_h_score
from catalog.scoring.scores.logme import logme
from catalog.scoring.shortlist import shortlist
from catalog.settings import Settings
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.stores import Committed

SEED = 20262
_SAMPLES = Path(__file__).parents[1] / "sample_models"
_DATA, _VERSIONS = _SAMPLES / "data" / "par04-siw-electron.h5", _SAMPLES / "versions"
_ROWS, _FEATURES, _CLASSES = 10_000, 512, 10
_THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"

Array = NDArray[np.float64]


def measure(quick: bool) -> dict[str, Any]:
    """All figures."""
    return {
        **_alone("gram_speedup", 3 if quick else 15),
        **rank_10k_s(3 if quick else 15),
        **recommend_1k_s(1 if quick else 3),
    }


def rank_10k_s(rounds: int) -> dict[str, Any]:
    """Median seconds of processor time to order 10,000 models for a target by fingerprint."""
    target = fingerprint(read_showers(_DATA, limit=1000))
    vectors = [vector for _, _, vector in _crowd(10_000)]
    times = []
    for _ in range(rounds):
        start = time.process_time()
        np.argsort(rank(target, stack(vectors)))
        times.append(time.process_time() - start)
    return {"rank_10k_s": _short(statistics.median(times))}


def recommend_1k_s(rounds: int) -> dict[str, Any]:
    """Median and longest seconds of a recommendation, its processor time, and models that ran."""
    target = read_showers(_DATA, limit=1000)
    log = read_records(_SAMPLES / "evidence.jsonl")
    times, spent = [], []
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(Path(place) / "home", Path(place) / "cache", "memory")
        with open_index(settings.home) as index:
            index.put(*_published(target, settings))
            for _ in range(rounds):
                start, begun = time.perf_counter(), time.process_time()
                found = recommend(target, index, settings, log, lambda _: None)
                times.append(time.perf_counter() - start)
                spent.append(time.process_time() - begun)
    return {
        "recommend_1k_s": _short(statistics.median(times)),
        "recommend_1k_s_longest": _short(max(times)),
        "recommend_1k_cpu_s": _short(statistics.median(spent)),
        "recommend_1k_probed": len(found.ranking),
    }


def _published(target: ShowerSet, settings: Settings) -> list[Row]:
    """1,000 rows; whatever will be run lies in the cache, as if it had been pulled."""
    crowd = _crowd(1000)
    cards = {folder: read_card(folder) for _, folder, _ in crowd}
    folders = {name: folder for name, folder, _ in crowd}
    rows = []
    for name, folder, vector in crowd:
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        row = row_of("memory", Committed(name, 1, digest), cards[folder])
        rows.append(replace(row, vector=vector))
    vectors = {row.digest: row.vector for row in rows}
    run = {listed.row.name for listed in shortlist(target, rows, vectors).chosen}
    return [_cached(row, folders[row.name], settings) if row.name in run else row for row in rows]


def _crowd(models: int) -> list[tuple[str, Path, bytes]]:
    """(name, folder, vector) of the shipped generators, then of stand-ins for them."""
    folders = sorted(path.parent for path in _VERSIONS.glob("*/fingerprint.npz"))
    real = [(f.name, f, read_kept(f / "fingerprint.npz").vector) for f in folders]
    rng, crowd = np.random.default_rng(SEED), list(real)
    for i in range(models - len(real)):
        _, folder, vector = real[i % len(real)]
        moved = np.frombuffer(vector, "<f4").copy()
        moved[4::5] *= 1 + rng.uniform(1, 3, len(moved[4::5]))  # the means
        crowd.append((f"stand-in-{i}", folder, moved.tobytes()))
    return crowd


def _cached(row: Row, folder: Path, settings: Settings) -> Row:
    """The row of a copy of a shipped version that lies in the cache; a stand-in has its name."""
    copy = settings.cache / "versions" / row.name
    shutil.copytree(folder, copy)
    if row.name != folder.name:
        card = read_card(folder).model_copy(update={"name": row.name})
        (copy / CARD_FILE).write_text(card_yaml(card), encoding="utf-8")
        (copy / MANIFEST_FILE).unlink(missing_ok=True)
    digest = build_manifest(copy).digest
    copy.rename(copy.with_name(digest.removeprefix("sha256:")))
    return replace(row, digest=digest)


def gram_speedup(rounds: int) -> dict[str, Any]:
    """Ratio of processor times, its median and range over rounds, and how far the values are."""
    features, labels = _features()
    narrow = features.astype(np.float32)
    sides: dict[str, Callable[[], tuple[float, ...]]] = {
        "published": lambda: published(features, labels),
        "f32": lambda: ours(narrow, labels, np.float32),
        "f64": lambda: ours(features, labels, np.float64),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    values: dict[str, tuple[float, ...]] = {}
    for round_ in range(rounds + 1):
        for name, side in sides.items():
            start = time.process_time()
            values[name] = side()
            if round_:  # the first round warms the caches
                times[name].append(time.process_time() - start)
    ratios = {
        name: sorted(a / b for a, b in zip(times["published"], times[name], strict=True))
        for name in ("f32", "f64")
    }
    off = {name: np.abs(np.subtract(values[name], values["published"])) for name in ratios}
    return {
        "gram_speedup": _short(statistics.median(ratios["f32"])),
        "gram_speedup_range": [_short(ratios["f32"][0]), _short(ratios["f32"][-1])],
        "gram_speedup_f64": _short(statistics.median(ratios["f64"])),
        "gram_speedup_f64_range": [_short(ratios["f64"][0]), _short(ratios["f64"][-1])],
        "gram_difference": dict(
            zip(("logme", "h_score", "shrunk_h_score"), map(_short, off["f64"]), strict=True)
        ),
        "gram_difference_f32": dict(
            zip(("logme", "h_score", "shrunk_h_score"), map(_short, off["f32"]), strict=True)
        ),
        "rounds": rounds,
    }


def _alone(figure: str, rounds: int) -> dict[str, Any]:
    """Run one function of this module in a process of its own with one thread, and what it gave."""
    code = f"import json, benchmarks.scores as s; print(json.dumps(s.{figure}({rounds})))"
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _features() -> tuple[Array, NDArray[np.intp]]:
    """Centred features whose spreads fall as 1 / sqrt(i), turned; ten classes lie apart."""
    rng = np.random.default_rng(SEED)
    labels = rng.integers(0, _CLASSES, _ROWS)
    centres = 0.3 * rng.normal(size=(_CLASSES, _FEATURES))
    turn, _ = np.linalg.qr(rng.normal(size=(_FEATURES, _FEATURES)))
    mixing = turn / np.sqrt(np.arange(1, _FEATURES + 1))
    features = (centres[labels] + rng.normal(size=(_ROWS, _FEATURES))) @ mixing @ turn.T
    return features - features.mean(0), labels


def ours(features: Any, labels: Any, precision: Any) -> tuple[float, ...]:
    """LogME, H-score and shrunk H-score from one Gram."""
    found = spectrum(gram(features, labels, precision))
    return logme(found), h_score(found), shrunk_h_score(found)


def published(features: Array, labels: NDArray[np.intp]) -> tuple[float, ...]:
    """The same three by the published algorithms, one after the other."""
    return (
        published_logme(features, labels),
        published_h_score(features, labels),
        published_shrunk_h_score(features, labels),
    )


def published_logme(features: Array, labels: NDArray[np.intp]) -> float:
    """SVD of F^T F, left vectors from it, then at most 11 fixed-point steps of every class."""
    n, d = features.shape
    _, values, right = np.linalg.svd(features.T @ features)
    left = (features @ right.T) / np.sqrt(values)
    found = []
    for label in range(labels.max() + 1):
        y = (labels == label) - np.mean(labels == label)  # ours takes the mean out, too
        squares = (left.T @ y) ** 2
        outside = y @ y - squares.sum()
        alpha = beta = 1.0
        for _ in range(11):
            t = alpha / beta
            m2 = (values * squares / (t + values) ** 2).sum()
            r2 = (squares / (1 + values / t) ** 2).sum() + outside
            gamma = (values / (values + t)).sum()
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (r2 + 1e-5)
            ends = d * np.log(alpha) + n * np.log(beta) - np.log(alpha + beta * values).sum()
            evidence = 0.5 * (ends - beta * r2 - alpha * m2 - n * np.log(2 * np.pi)) / n
            if abs(alpha / beta - t) <= 1e-3 * t:
                break
        right.T @ (np.sqrt(values) * (left.T @ y) / (t + values))  # it also keeps the weights
        found.append(evidence)
    return float(np.mean(found))


def published_h_score(features: Array, labels: NDArray[np.intp]) -> float:
    """tr(pinv(cov f) cov E[f | y]), both covariances (d, d) of all rows."""
    between = np.cov(_class_means(features, labels), rowvar=False)
    inverse = np.linalg.pinv(np.cov(features, rowvar=False), rcond=1e-15)
    return float(np.trace(inverse @ between))


def published_shrunk_h_score(features: Array, labels: NDArray[np.intp]) -> float:
    """The same with the estimate of Ledoit and Wolf, as scikit-learn's class of that name sums it.

    It keeps the inverse of what it estimates, too, and the score takes its own.
    """
    n, d = features.shape
    centred = features - features.mean(0)
    squares = centred**2
    covariance = centred.T @ centred / n
    mean = squares.sum() / n / d
    beta = (squares.T @ squares).sum()
    delta = ((centred.T @ centred) ** 2).sum() / n**2
    noise = (beta / n - delta) / (d * n)
    spread = (delta - 2 * mean * np.trace(covariance) + d * mean**2) / d
    weight = min(noise, spread) / spread
    shrunk = (1 - weight) * covariance + weight * mean * np.eye(d)
    pinvh(shrunk, check_finite=False)
    between = np.cov(_class_means(centred, labels), rowvar=False)
    return float(np.trace(np.linalg.pinv(shrunk, rcond=1e-15) @ ((1 - weight) * between)))


def _class_means(features: Array, labels: NDArray[np.intp]) -> Array:
    means = np.zeros_like(features)
    for label in range(labels.max() + 1):
        means[labels == label] = features[labels == label].mean(0)
    return means


def _short(value: float) -> float:
    return float(f"{value:.3g}")
