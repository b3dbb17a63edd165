"""What a model page draws of a card: the layer stack, the gates, the family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.domain import Detector
from catalog.domain.materials import materials
from catalog.report.markup import Markup, join, tag
from registry_server.web import svg

WIDTH = 640
_SLABS = 5000  # more are not drawn
_COLOURS = 6  # classes m0 .. m5 of the style
_CHILDREN = 6


def stack(detector: Detector) -> tuple[Markup, list[dict[str, Any]]] | None:
    """The layer stack to scale in X0, and its legend; None if there is none to draw."""
    slabs = detector.slabs() if sum(it.repeat * len(it.slabs) for it in detector.stack) else ()
    if not slabs or len(slabs) > _SLABS:
        return None
    depth = sum(_x0(slab.material, slab.mm) for slab in slabs)
    scale, at = svg.Scale(0, depth, 4, WIDTH - 4), 0.0
    passive = [name for name in detector.materials if any(
        s.material == name and not s.active for s in slabs)]  # fmt: skip
    colour = {name: min(i, _COLOURS - 1) for i, name in enumerate(passive)}
    shapes: dict[str, list[str]] = {}
    for slab in slabs:
        left, at = at, at + _x0(slab.material, slab.mm)
        x, right = (scale.start + edge / depth * (WIDTH - 8) for edge in (left, at))
        width = max(right - x, 0.6) if slab.active else right - x  # what is read out must be seen
        key = "slab active" if slab.active else f"slab m{colour[slab.material]}"
        shapes.setdefault(key, []).append(f"M{x:.2f} 4h{width:.2f}v56h-{width:.2f}z")
    order = sorted(shapes, key=lambda it: "active" in it)
    drawn = [tag("path", d="".join(shapes[key]), class_=key) for key in order]
    title = f"layer stack of {detector.name}: {depth:.1f} X0 along the shower"
    axis = svg.x_axis(scale, 60, "depth [X0]")
    active = [name for name in detector.materials if any(
        s.material == name and s.active for s in slabs)]  # fmt: skip
    legend = [{"name": name, "class": f"m{colour[name]}", "x0": _share(slabs, name, False)}
              for name in passive] + [
        {"name": f"{name}, read out", "class": "active", "x0": _share(slabs, name, True)}
        for name in active
    ]  # fmt: skip
    return svg.figure(WIDTH, 96, title, *drawn, axis, class_="wide"), legend


def _x0(material: str, mm: float) -> float:
    return mm / (10 * materials()[material].x0_cm)


def _share(slabs: Sequence[Any], name: str, active: bool) -> float:
    return sum(_x0(s.material, s.mm) for s in slabs if s.material == name and s.active == active)


def gates(found: Sequence[Mapping[str, Any]]) -> Markup | None:
    """|value| of every gate as a share of its limit, cut at 3; None without gates."""
    if not found:
        return None
    scale = svg.Scale(0, 3, 190, WIDTH - 60)
    rows: list[Markup] = []
    for place, gate in enumerate(found):
        y = 8 + 20 * place
        limit = abs(float(gate["limit"])) or 1e-300
        share = abs(float(gate["value"])) / limit
        passed = bool(gate["passed"])
        word, look = ("passed", "gate") if passed else ("failed", "gate failed")
        told = f"{gate['name']}: {gate['value']:.3g}, limit {gate['limit']:.3g}, {word}"
        rows += [
            svg.word(182, y + 11, str(gate["name"])[:40].replace("_", " "), "tick", "end"),
            svg.box(190, y, scale.at(share) - 190, 14, look, told),
            svg.word(max(scale.at(share), scale.at(1)) + 6, y + 11,
                     f"{share:.2g}" + ("" if passed else " failed"), "tick"),
        ]  # fmt: skip
    height = 12 + 20 * len(found)
    limit_line = svg.line(scale.at(1), 2, scale.at(1), height, "floor")
    axis = svg.x_axis(scale, height, "|value| / limit")
    failed = sum(not gate["passed"] for gate in found)
    title = f"{len(found)} gates, {failed} failed; each as a share of its limit"
    return svg.figure(WIDTH, height + 34, title, *rows, limit_line, axis, class_="wide")


def family(
    chain: Sequence[Mapping[str, str]], children: Sequence[Mapping[str, str]], root: str
) -> Markup:
    """Ancestors, this version (the last of `chain`), what was adapted from it; left to right."""
    shown = list(children[:_CHILDREN])
    more = len(children) - len(shown)
    columns = [[it] for it in chain] + ([shown] if shown else [])
    rows = max(len(column) for column in columns) + (1 if more else 0)
    wide, high = 216, 46
    parts: list[Markup] = []
    for c, column in enumerate(columns):
        for r, it in enumerate(column):
            x, y = 4 + c * (wide + 40), 6 + r * high
            if c:
                d = f"M{x - 40} 23C{x - 18} 23 {x - 22} {y + 17} {x} {y + 17}"
                parts.append(tag("path", d=d, class_="edge"))
            parts.append(_node(it, x, y, wide, root, itself=c == len(chain) - 1))
    if more:
        x = 4 + (len(columns) - 1) * (wide + 40)
        parts.append(svg.word(x, 18 + len(shown) * high, f"and {more} more", "tick"))
    title = f"family: {len(chain) - 1} ancestors, {len(children)} adapted from it"
    width = len(columns) * (wide + 40) - 32
    return svg.figure(
        max(width, WIDTH), rows * high + 6, title, *parts, class_="family", role="group"
    )


def _node(
    it: Mapping[str, str], x: float, y: float, wide: float, root: str, *, itself: bool
) -> Markup:
    name = it["ref"] if len(it["ref"]) <= 30 else f"{it['ref'][:14]}...{it['ref'][-13:]}"
    parts = join(
        [
            tag("title", f"{it['ref']} {it['digest']}"),
            svg.box(x, y, wide, 34, "node self" if itself else "node"),
            svg.word(x + 9, y + 21, name, "strong" if itself else ""),
        ]
    )
    link = it.get("url")
    return tag("a", parts, href=f"{root}{link}") if link and not itself else tag("g", parts)
