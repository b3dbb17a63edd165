"""A recommendation as a picture: predictions with intervals, scratch as a band, the floor."""

from __future__ import annotations

from pathlib import Path

from catalog.errors import UsageError, cannot_write
from catalog.report.canvas import need_matplotlib
from catalog.report.charts import recommendation_chart
from catalog.report.rows import Estimate, Ranked
from catalog.scoring.predict import Prediction
from catalog.scoring.recommend import Recommendation


def check_picture(path: Path) -> None:
    """Refuse a picture that cannot be drawn, before any work.

    Raises
    ------
    UsageError, MissingExtra
    """
    if path.suffix.lower() != ".png" or not path.parent.is_dir():
        raise UsageError(
            f"{path}: not a picture in a folder that exists", "give --plot FOLDER/NAME.png"
        )
    need_matplotlib()


def draw(found: Recommendation, path: Path) -> str:
    """Write the picture; returns what was done, in words. Nothing is drawn of an empty ranking."""
    if not found.ranking:
        return f"{path} was not drawn: there is no model to draw"
    rows = [_row(c.ref, c.zero_shot, c.prediction) for c in found.ranking]
    plot = recommendation_chart(rows, estimate(found.scratch), floor=found.floor, picture=True)
    temp = path.with_name(f".{path.name}.part")
    try:
        temp.write_bytes(plot.png)
        temp.replace(path)
    except OSError as exc:
        raise cannot_write(path, exc) from exc
    return f"wrote {path}"


def estimate(found: Prediction | None) -> Estimate | None:
    """A prediction as the charts take it."""
    if found is None:
        return None
    return {"predicted": found.predicted, "low": found.low, "high": found.high}


def _row(ref: str, zero_shot: float, known: Prediction | None) -> Ranked:
    return {"ref": ref, "zero_shot": zero_shot, **(estimate(known) or {})}  # type: ignore[typeddict-item]
