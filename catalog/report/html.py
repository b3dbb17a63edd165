"""One HTML file that tells a physicist the answer, the evidence, and how to repeat it.

The file is complete in itself: no script, no font, no request. Every value in a Report may come
from a stranger's card, so all text is escaped, and plots are shown as images: an SVG shown as an
image can run nothing and load nothing, even one that was tampered with.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from catalog.report.markup import (
    UNKNOWN,
    Markup,
    duration,
    interval,
    join,
    number,
    table,
    tag,
    text,
)
from catalog.report.rows import CostRow, Estimate, GateRow, Lineage, Ranked

FLOOR = "floor"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_S = "\N{GREEK SMALL LETTER SIGMA}"
_SIGMA = f"standard deviations of full simulation ({_S})"
_METRICS = {
    "w1_geomean": (
        f"w1_geomean [{_S}]",
        f"geometric mean over the observables of the Wasserstein-1 distance, in {_SIGMA}",
    ),
    "separation_mean": (
        "separation_mean [0 to 1]",
        "mean separation power of the observables: 0 for equal histograms, 1 for no overlap",
    ),
    "fpd": ("fpd [1]", "Fréchet distance of the observables at infinite n (arXiv 2211.10295)"),
    "kpd": (
        "kpd [1]",
        "kernel distance of the observables (arXiv 2211.10295); may fall just below 0",
    ),
    "auc": (
        "auc [0.5 to 1]",
        "classifier between model and full simulation: 0.5 if it cannot tell them apart",
    ),
}


@dataclass(frozen=True)
class Report:
    """Everything one report shows; what is empty is left out.

    compared : the showers everything was compared with
    date : as the caller wants it printed; the clock is never read here
    n, seed : showers on each side of every comparison, and the seed of the generated ones
    adapt_showers : showers of the Target that the predictions assume for the Adaptation
    ranking : best model first; `scratch` is the same prediction for training from scratch
    excluded : {model: reason}
    metrics : {label: {metric: value}}; the label "floor" is full simulation against itself
    errors : the same, one standard deviation
    commands : plain command lines that repeat the whole
    plots : {title: SVG}
    """

    title: str
    verdict: str = ""
    subtitle: Sequence[str] = ()
    date: str = ""
    n: int | None = None
    seed: int | None = None
    compared: str = "unseen full simulation"
    metric: str = "w1_geomean"
    adapt_showers: int | None = None
    target: Mapping[str, object] = field(default_factory=dict)
    ranking: Sequence[Ranked] = ()
    scratch: Estimate | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    gates: Sequence[GateRow] = ()
    lineage: Sequence[Lineage] = ()
    costs: Sequence[CostRow] = ()
    commands: Sequence[str] = ()
    plots: Mapping[str, str] = field(default_factory=dict)


def render_report(report: Report) -> str:
    """The report as one HTML document."""
    style = (files("catalog.report") / "report.css").read_text(encoding="utf-8")
    head = join(
        [
            Markup('<meta charset="utf-8">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{text(_POLICY)}">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", report.title),
            tag("style", Markup(style)),
        ]
    )
    sections = (
        _head(report),
        _target(report),
        _recommendation(report),
        _physics(report),
        _plots(report),
        _lineage(report),
        _costs(report),
        _commands(report),
    )
    page = tag("html", tag("head", head), tag("body", tag("main", *sections)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _head(report: Report) -> Markup:
    lines = [tag("p", line, class_="subtitle") for line in report.subtitle]
    facts: dict[str, object] = {}
    if report.date:
        facts["Date"] = report.date
    if report.n is not None:
        facts["Compared with"] = f"{report.compared}, {number(report.n)} showers on each side"
    if report.seed is not None:
        facts["Seed"] = str(report.seed)
    verdict = tag("p", report.verdict, class_="verdict") if report.verdict else ""
    return join([tag("h1", report.title), *lines, verdict, _facts(facts)])


def _facts(facts: Mapping[str, object]) -> Markup:
    if not facts:
        return Markup("")
    pairs = []
    for name, value in facts.items():
        shown = number(value) if isinstance(value, float) or value is None else value
        pairs += [tag("dt", name), tag("dd", shown)]
    return tag("dl", *pairs)


def _target(report: Report) -> Markup:
    if not report.target:
        return Markup("")
    return join([tag("h2", "Target"), _facts(report.target)])


def _recommendation(report: Report) -> Markup:
    parts: list[Markup] = []
    if report.ranking or report.scratch:
        after = report.adapt_showers
        when = f" after {number(after)} showers" if after is not None else ""
        rows: list[tuple[object, ...]] = [
            (
                place,
                tag("code", row["ref"]),
                interval(row.get("predicted"), row.get("low"), row.get("high")),
                number(row.get("zero_shot"), 2),
                row.get("notes", ""),
            )
            for place, row in enumerate(report.ranking, 1)
        ]
        if (scratch := report.scratch) is not None:
            best = interval(scratch["predicted"], scratch.get("low"), scratch.get("high"))
            rows.append(("", "from scratch", best, "", "the same training, without a start model"))
        headers = ["rank", "model", f"predicted{when} [{_S}]", f"zero-shot [{_S}]", "notes"]
        about = (
            f"Values are {report.metric}: the distance to full simulation in {_SIGMA}. Smaller is "
            "better. Brackets hold about 80 % of outcomes, as far as recorded runs tell. "
            "Zero-shot is the model as it is, before any Adaptation."
        )
        parts += [tag("h2", "Recommendation"), tag("p", about, class_="note"), table(headers, rows)]
    if report.excluded:
        out = [(tag("code", ref), reason) for ref, reason in report.excluded.items()]
        parts += [tag("h3", "Models that cannot be adapted"), table(["model", "reason"], out)]
    return join(parts)


def _physics(report: Report) -> Markup:
    if not report.metrics and not report.gates:
        return Markup("")
    size = f", {number(report.n)} showers on each side" if report.n is not None else ""
    about = f"All showers were compared with {report.compared}{size}."
    parts = [tag("h2", "Physics validation"), tag("p", about)]
    if report.metrics:
        keys = list(dict.fromkeys(key for row in report.metrics.values() for key in row))
        headers = ["showers", *(_METRICS.get(key, (key, ""))[0] for key in keys)]
        rows = [
            (
                label,
                *(_measured(row.get(key), report.errors.get(label, {}).get(key)) for key in keys),
            )
            for label, row in report.metrics.items()
        ]
        parts += [table(headers, rows, marked=FLOOR), _glossary(keys, FLOOR in report.metrics)]
    if report.gates:
        headers = ["gate", "value", "limit on |value|", "tolerance", "worst at", "result"]
        about = (
            "Each value stands where it is nearest to its limit. The limit is the tolerance plus "
            "what so many showers cannot tell, measured between halves of full simulation."
        )
        parts += [tag("h3", "Gates"), tag("p", about, class_="note")]
        parts.append(table(headers, map(_gate, report.gates)))
    return join(parts)


def _measured(value: float | None, error: float | None) -> Markup:
    """A number with as many digits as its error earns."""
    if value is None or error is None:
        return tag("span", number(value), class_="number")
    return tag("span", f"{number(value)} ± {number(error, 2)}", class_="number")


def _glossary(keys: Sequence[str], with_floor: bool) -> Markup:
    known: dict[str, object] = {key: _METRICS[key][1] for key in keys if key in _METRICS}
    if with_floor:
        known[FLOOR] = "full simulation against itself; no model can be asked to do better"
    return tag("div", _facts(known), class_="note") if known else Markup("")


def _gate(row: GateRow) -> tuple[object, ...]:
    word = "passed" if row["passed"] else "failed"
    result = tag("span", f"{'✓' if row['passed'] else '✗'} {word}", class_=word)
    tolerance = row.get("tolerance")
    return (
        row["name"],
        number(float(row["value"])),
        number(float(row["limit"])),
        "" if tolerance is None else f"{tolerance:g}",
        row.get("bin") or "all energies",
        result,
    )


def _plots(report: Report) -> Markup:
    if not report.plots:
        return Markup("")
    figures = []
    for title, svg in report.plots.items():
        data = base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")
        source = f"data:image/svg+xml;base64,{data}"
        image = Markup(f'<img alt="{text(title)}" src="{source}">')
        figures.append(tag("figure", tag("figcaption", title), image))
    about = (
        f"The reference is {report.compared}; ratios are to it. Grey bands and error bars are its "
        "and the others' statistical uncertainties (one standard error); the blue band is the "
        "floor, other full simulation of the same number of showers. Triangles at the border of a "
        "ratio mark points outside the panel."
    )
    return join(
        [tag("h2", "Plots"), tag("p", about, class_="note"), tag("div", *figures, class_="plots")]
    )


def _lineage(report: Report) -> Markup:
    if not report.lineage:
        return Markup("")
    rows = [
        tuple(tag("code", row[key]) for key in ("parent", "parent_digest", "child", "child_digest"))
        for row in report.lineage
    ]
    headers = ["parent", "digest of the parent", "child", "digest of the child"]
    return join([tag("h2", "Lineage"), table(headers, rows)])


def _costs(report: Report) -> Markup:
    if not report.costs:
        return Markup("")
    rows = [
        (row["what"], duration(row["seconds"]), row["device"] or UNKNOWN, row.get("note", ""))
        for row in report.costs
    ]
    return join([tag("h2", "Cost"), table(["step", "time", "device", "note"], rows)])


def _commands(report: Report) -> Markup:
    if not report.commands:
        return Markup("")
    shown = [tag("pre", tag("code", command)) for command in report.commands]
    return join([tag("h2", "Repeat it"), *shown])
