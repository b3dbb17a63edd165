"""Two plots: forecasts against what was reached, and how well every score orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.transfer.protocol import Places, trials
from benchmarks.transfer.stored import Truth
from benchmarks.transfer.ways import BASELINES, fit
from catalog.report.canvas import (
    drawing,
    head,
    label_few_decades,
    legend,
    look,
    render,
)
from catalog.scoring.stack import forecast

FOLDER = Path(__file__).parent.parent.parent / "docs" / "plots"
_SHOWN = 18  # scores in the second plot, beside the baselines


def draw_forecasts(truth: Truth, known: Places, n: int) -> str:
    """Forecast against reached w1_geomean with 80 % intervals, one draw of each target; SVG."""
    rows = []
    for trial in trials(truth, known, "lodo"):
        stack = fit(trial.train, intervals=True)
        for cell in trial.tests[:1]:  # one draw: the others look alike
            seen = forecast(stack, cell)
            at = np.column_stack([np.asarray(cell.reached), seen.predicted, seen.low, seen.high])
            rows += [(bool(truth.full[trial.target]), *values) for values in at]
    table = np.array([row for row in rows if np.isfinite(row).all()])
    with drawing(4.4) as figure:
        axes = figure.subplots()
        if len(table):
            ends = table[:, 1:3].min() / 1.15, table[:, 1:3].max() * 1.15
            axes.plot(ends, ends, color="black", linewidth=0.9, label="forecast = reached")
        for index, (full, label) in enumerate(((0, "simulated targets"), (1, "full simulation"))):
            some = table[table[:, 0] == full] if len(table) else table
            if len(some):
                error = np.abs(some[:, [3, 4]] - some[:, [2]]).T
                axes.errorbar(
                    some[:, 1], some[:, 2], error, fmt=look(index).marker, markersize=4,
                    color=look(index).colour, elinewidth=0.5, alpha=0.7, label=label,
                )  # fmt: skip
        axes.set(xscale="log", yscale="log")
        label_few_decades(axes)
        axes.set_xlabel("reached w1_geomean [spreads of the target]")
        axes.set_ylabel("forecast w1_geomean, 80 % interval")
        head(axes, f"{n} showers", "each target left out")
        legend(figure, *axes.get_legend_handles_labels())
        return render(figure).svg


def draw_taus(figures: dict[str, Any], n: int) -> str:
    """Weighted Kendall tau of the best scores and all baselines in two splits; SVG."""
    sides = [("lodo", "detector left out"), ("cold", "and half of the models")]
    first = figures["lodo"].get("scores", {})
    told = [name for name in first if not name.startswith("stack_")]  # what was tried: a table
    names = [n for i, n in enumerate(told) if i < _SHOWN or n in BASELINES][::-1]
    with drawing(1.2 + 0.24 * max(len(names), 1)) as figure:
        axes = figure.subplots()
        for index, (split, label) in enumerate(sides):
            scores = figures[split].get("scores", {})
            rows = [(i, scores[name]) for i, name in enumerate(names) if name in scores]
            mean = np.array([line["tau_w"] for _, line in rows])
            ends = np.array([line["tau_w_95"] for _, line in rows]).reshape(-1, 2)
            where = np.array([i for i, _ in rows]) + 0.15 - 0.3 * index
            error = np.abs(ends - mean[:, None]).T
            axes.errorbar(
                mean, where, xerr=error, fmt=look(index).marker, color=look(index).colour,
                markersize=4, elinewidth=0.8, label=label,
            )  # fmt: skip
        axes.axvline(0, color="black", linewidth=0.6)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        axes.set_xlabel("weighted Kendall tau, mean over targets and 95 % bootstrap")
        axes.set_ylabel("score")
        head(axes, f"{n} showers", f"{figures['lodo'].get('targets', 0)} targets")
        legend(figure, *axes.get_legend_handles_labels())
        return render(figure).svg


def write(truth: Truth, known: Places, figures: dict[str, Any], n: int) -> None:
    """Both into docs/plots."""
    FOLDER.mkdir(exist_ok=True)
    forecasts, taus = draw_forecasts(truth, known, n), draw_taus(figures, n)
    (FOLDER / "transfer-forecast.svg").write_text(_document(forecasts), encoding="utf-8")
    (FOLDER / "transfer-tau.svg").write_text(_document(taus), encoding="utf-8")


def _document(svg: str) -> str:
    """An SVG file that stands alone."""
    if "xmlns=" in svg.partition(">")[0]:
        return svg
    return svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
