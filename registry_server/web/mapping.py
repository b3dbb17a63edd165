"""Map: every model with a fingerprint in two dimensions, near where their showers are alike."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from starlette.responses import Response

from catalog.fingerprint import stack
from catalog.index import Query, Row
from catalog.report.markup import Markup, tag
from catalog.scoring.shortlist import newest
from registry_server.api.registry import registry_of
from registry_server.web import svg
from registry_server.web.known import known_detectors
from registry_server.web.render import page, root_of

router = APIRouter()
_MOST = 2000  # models drawn
_WIDTH, _HEIGHT, _EDGE = 900, 520, 24
_ORDER = ("sampling", "homogeneous", "gas", "silicon", "other", "")
Array = NDArray[np.float64]


@router.get("/map", name="page_map")
def map_page(request: Request) -> Response:
    """The newest version of each generator, and the known detectors by their simulation."""
    registry = registry_of(request)
    with registry.index() as index:
        rows = newest(index.search(Query(task="shower-generation", limit=_MOST))[1],
                      registry.settings.store)  # fmt: skip
        vectors = index.vectors()
        technologies = index.technologies()
    rows = [row for row in rows if row.digest in vectors]
    marks = [_mark(row, technologies, registry.settings.store) for row in rows]
    names, shipped = known_detectors()
    marks += [{"text": name, "technology": technology, "url": "", "detector": name,
               "summary": "known detector, simulated"} for name, technology in names]  # fmt: skip
    table = np.vstack([stack([vectors[row.digest] for row in rows]), shipped]).astype(float)
    whole = np.isfinite(table).all(1)
    marks = [mark for mark, fine in zip(marks, whole, strict=True) if fine]
    points, shares = principal(table[whole])
    used = [it for it in _ORDER if any(mark["technology"] == it for mark in marks)]
    return page(
        request.scope, "map.html", drawing=_draw(points, marks, root_of(request.scope)),
        marks=marks, used=used, order=_ORDER, shares=shares, most=_MOST,
    )  # fmt: skip


def principal(table: Array) -> tuple[Array, tuple[float, float]]:
    """The two directions in which vectors differ most: points (M, 2), and their share of variance.

    Columns are scaled by their spread, cut at 4: one odd model must not be the whole map.
    """
    if len(table) < 3:
        return np.zeros((len(table), 2)), (0.0, 0.0)
    centre = np.median(table, axis=0)
    spread = np.median(np.abs(table - centre), axis=0) * 1.4826
    spread = np.where(spread > 1e-9, spread, table.std(0) + 1e-9)
    scaled = np.clip((table - centre) / spread, -4, 4)
    scaled -= scaled.mean(0)
    _, sizes, axes = np.linalg.svd(scaled, full_matrices=False)
    signs = np.where(np.abs(axes).max(1) == axes.max(1), 1.0, -1.0)  # the same map every time
    power = sizes**2 / max(float((sizes**2).sum()), 1e-300)
    points: Array = (scaled @ axes[:2].T) * signs[:2]
    return points, (float(power[0]), float(power[1]))


def _mark(row: Row, technologies: dict[str, str], usual: str) -> dict[str, Any]:
    tail = "" if row.store == usual else f"?store={quote(row.store, safe='')}"
    return {
        "text": row.ref, "technology": technologies.get(row.detector or "", ""),
        "url": f"models/{quote(row.name, safe='')}/{row.version}{tail}",
        "detector": row.detector or "", "summary": row.summary,
    }  # fmt: skip


def _draw(points: Array, marks: list[dict[str, Any]], root: str) -> Markup:
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.ones(2))
    x = svg.Scale(float(low[0]), float(high[0]), _EDGE, _WIDTH - _EDGE)
    y = svg.Scale(float(low[1]), float(high[1]), _HEIGHT - _EDGE, _EDGE)
    parts = []
    for (a, b), mark in zip(points, marks, strict=True):
        colour = f"t{_ORDER.index(mark['technology'])}" if mark["technology"] in _ORDER else "t5"
        told = f"{mark['text']}: {mark['detector']}, {mark['technology'] or 'technology not told'}"
        if mark["url"]:
            one = svg.dot(x.at(a), y.at(b), 6, colour, told)
            about = {"href": root + mark["url"], "aria_label": told}
            parts.append(tag("a", one, **about))
        else:
            side = 9.0
            square = svg.box(x.at(a) - side / 2, y.at(b) - side / 2, side, side,
                             f"{colour} known", told)  # fmt: skip
            parts.append(square)
    title = "map of models by their fingerprints"
    return svg.figure(_WIDTH, _HEIGHT, title, *parts, class_="map", role="group")
