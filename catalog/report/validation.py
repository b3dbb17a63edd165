"""What a comparison with full simulation shows: numbers and plots of a page, files of a folder."""

from __future__ import annotations

import re
from dataclasses import replace

from catalog.index.query import particle_name
from catalog.physics.distances import w1_per_observable
from catalog.physics.observables import Observables
from catalog.physics.present import verdict
from catalog.physics.validate import REFERENCE, Comparison
from catalog.report.canvas import Plot
from catalog.report.charts import w1_chart
from catalog.report.correlation import depth_correlations
from catalog.report.folder import PAGE
from catalog.report.html import FLOOR, Report, render_report
from catalog.report.plots import Scene, profile_plots
from catalog.report.rows import GateRow
from catalog.validate import Validation
from catalog.validation_file import VALIDATION_FILE, to_bytes


def files_of(done: Validation) -> dict[str, bytes]:
    """The files of `catalog validate --out`: the numbers, every plot as PNG, and one page."""
    plots = comparison_plots(done.result, pictures=True)
    page = replace(validation_page(done), plots={title: p.svg for title, p in plots.items()})
    return {
        VALIDATION_FILE: to_bytes(done.document()),
        **{f"{_file_name(title)}.png": plot.png for title, plot in plots.items()},
        PAGE: render_report(page).encode(),
    }


def validation_page(done: Validation) -> Report:
    """The page without its plots."""
    facts = done.document()
    low, high = facts["energy_gev"]
    about: dict[str, object] = {
        "Showers": f"{facts['dataset']} ({facts['dataset_showers']})",
        "Digest": facts["dataset_digest"],
        "Detector": f"{facts['detector']}: {done.target.detector.title}".rstrip(": "),
        "Particle": f"{particle_name(facts['pdg'])} (PDG {facts['pdg']})",
        "Energies": f"{low:.3g} to {high:.3g} GeV",
    }
    if facts["model"]:
        about["Model file"] = facts["model"]
    if facts["showers_digest"]:
        about["Compared file"] = f"{done.ref}, {facts['showers_digest']}"
    return replace(
        physics_of(done.result, done.ref),
        title=f"{done.ref} beside {done.reference}",
        subtitle=(done.matched, *done.warnings),
        verdict=verdict(done.result, done.ref).capitalize() + ".",
        compared=f"{done.reference} that it has not seen",
        target=about,
        seed=done.seed,
    )


def physics_of(found: Comparison, label: str) -> Report:
    """The numbers of a comparison, with the gates of one of its models."""
    return Report(
        title="",
        n=found.n,
        metrics={**found.metrics, FLOOR: found.floor},
        errors={**found.errors, FLOOR: found.floor_errors},
        gates=gate_rows(found, label),
    )


def gate_rows(found: Comparison, label: str) -> list[GateRow]:
    """The gates of one model as the page's rows."""
    return [
        {
            "name": g.name, "value": g.value, "limit": g.limit, "passed": g.passed,
            "tolerance": g.tolerance, "bin": g.bin,
        }
        for g in found.gates(label)
    ]  # fmt: skip


def comparison_plots(found: Comparison, pictures: bool = False) -> dict[str, Plot]:
    """Every plot of a comparison, by title; as PNG too if `pictures`."""
    reference = found.observables[REFERENCE]

    def w1(showers: Observables) -> dict[str, float]:
        distances = w1_per_observable(showers.values, reference.values)
        return dict(zip(reference.names, map(float, distances), strict=True))

    scene = Scene(found.observables, found.floor_observables, found.dataset, pictures)
    each = {label: w1(found.observables[label]) for label in found.metrics}
    return {
        **profile_plots(scene),
        "Correlations in depth": depth_correlations(scene),
        "Distance per observable": w1_chart(each, w1(found.floor_observables), pictures),
    }


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower())
