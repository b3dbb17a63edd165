"""Find: one search box, facets with counts, an energy window; and the static files of all pages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from catalog.errors import UsageError
from catalog.index import Query
from catalog.index.facets import LEVELS_GEV, Facets
from catalog.index.present import as_dict
from catalog.index.query import parse_energy, parse_particle, particle_name
from catalog.report.markup import Markup
from registry_server.api.registry import registry_of
from registry_server.errors import quoted
from registry_server.web import svg
from registry_server.web.render import page, static_files

router = APIRouter()
ROWS = 50  # models of one page
FACETS = {
    "detector": "Detector type", "technology": "Technology", "material": "Material",
    "particle": "Particle", "task": "Task", "family": "Family", "licence": "Licence",
    "validated": "Validated", "store": "Store",
}  # fmt: skip
_OTHERS = ("q", "energy", "low", "high", "page")


@dataclass(frozen=True)
class Asked:
    """What the address of the page says; it is all there is to share."""

    q: str
    filters: dict[str, str]
    energy: str
    page: int

    @property
    def query(self) -> Query:
        """The search, but for the technology.

        Raises
        ------
        UsageError
        """
        plain = {key: it for key, it in self.filters.items()
                 if key not in ("technology", "particle", "validated")}  # fmt: skip
        particle = self.filters.get("particle")
        return Query(
            text=self.q, **plain,  # type: ignore[arg-type]
            particle=parse_particle(particle) if particle else None,
            energy_gev=parse_energy(self.energy) if self.energy else None,
            validated=bool(self.filters.get("validated")), limit=ROWS,
            skip=ROWS * (self.page - 1),
        )  # fmt: skip

    def url(self, **changes: str) -> str:
        """The address with some parts changed; "" leaves a part out. It begins again on page 1."""
        values = {"q": self.q, **self.filters, "energy": self.energy, **changes}
        said = urlencode({key: value for key, value in values.items() if value})
        return f"./?{said}" if said else "./"


@router.get("/static/{name}", name="page_static")
def static(name: str) -> Response:
    """A script or a style; its address changes when it does."""
    found = static_files().get(name)
    if found is None:
        raise HTTPException(404)
    data, kind = found
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(data, 200, headers, f"{kind}; charset=utf-8")


@router.get("/", name="page_find")
def find(request: Request) -> Response:
    """The first page."""
    asked, registry = read(request), registry_of(request)
    with registry.index() as index:
        technology = asked.filters.get("technology", "")
        narrowed = index.of_technology(asked.query, technology)
        total, rows = index.search(narrowed, registry.settings.store)
        found = [as_dict(*it) for it in zip(rows, index.all_places(rows), strict=True)]
        asks = replace(asked.query, skip=0)  # every page of an answer has the same counts
        facets = request.app.state.counted.facets(index, asks, technology)
        anything = bool(total) or bool(index.search(Query(limit=1))[0])
    # One store is no choice.
    one = len(facets.counts["store"]) < 2 and "store" not in asked.filters
    shown = [name for name in FACETS if not (one and name == "store")]
    return page(
        request.scope, "find.html", asked=asked, total=total, more=total > narrowed.counted,
        models=found,
        facets=[_facet(asked, name, facets) for name in shown], anything=anything,
        energy=energy_picture(facets.covered, narrowed.energy_gev),
        window=narrowed.energy_gev or ("", ""), pages=-(-total // ROWS), rows=ROWS,
    )  # fmt: skip


def read(request: Request) -> Asked:
    """What is asked; a mistyped filter must not find everything.

    Raises
    ------
    UsageError
    """
    given = {key: value.strip()[:500] for key, value in request.query_params.items()}
    if strange := [key for key in given if key not in FACETS and key not in _OTHERS]:
        raise UsageError(f"no filter {quoted(strange[0])}", f"there are: {', '.join(FACETS)}")
    number = given.get("page", "") or "1"
    if not (number.isascii() and number.isdigit() and 0 < int(number[:9]) <= 200_000):
        raise UsageError(f"no page {quoted(number)}", "begin with the first one")
    energy, low, high = (given.get(key, "") for key in ("energy", "low", "high"))
    if low or high:
        energy = f"{low or high}..{high or low}"
    filters = {key: given[key] for key in FACETS if given.get(key)}
    return Asked(given.get("q", ""), filters, energy, int(number))


def _facet(asked: Asked, name: str, facets: Facets) -> dict[str, Any]:
    """A filter with its values, each a link that sets or removes it."""
    chosen = asked.filters.get(name, "")
    values = [(_said(name, value), str(value).lower() if value is True else str(value), count)
              for value, count in facets.counts[name]]  # fmt: skip
    if chosen and not any(_same(name, chosen, value) for _, value, _ in values):
        values.insert(0, (chosen, chosen, 0))
    return {
        "name": name,
        "title": FACETS[name],
        "chosen": chosen,
        "values": [
            {
                "text": text, "count": count, "on": (on := _same(name, chosen, value)),
                "url": asked.url(**{name: "" if on else value}),
            }
            for text, value, count in values
        ],
    }  # fmt: skip


def _said(name: str, value: Any) -> str:
    if name == "particle":
        return particle_name(int(value))
    if name == "material":
        return _materials().get(str(value), str(value))
    return "passed its gates" if name == "validated" else str(value)


def _same(name: str, chosen: str, value: str) -> bool:
    if name == "particle" and chosen:
        return parse_particle(chosen) == int(value)
    return chosen.lower() == value.lower() if name == "material" else chosen == value


def _materials() -> dict[str, str]:
    """Names as they are written, by how the index keeps them."""
    from catalog.domain.materials import materials

    return {name.lower(): name for name in materials()}


def energy_picture(covered: list[int], window: tuple[float, float] | None) -> Markup:
    """How many models cover each energy, and the window that they must cover."""
    x = svg.Scale(LEVELS_GEV[0], LEVELS_GEV[-1], 6, 294, log=True)
    y = svg.Scale(0, max(covered) or 1, 60, 8)
    points = [(x.at(level), y.at(n)) for level, n in zip(LEVELS_GEV, covered, strict=True)]
    area = svg.path([(6, 60), *points, (294, 60)], "area", closed=True)
    ends = [x.at(end) for end in window or (x.low, x.high)]
    chosen = svg.box(
        ends[0], 4, max(ends[1] - ends[0], 1), 56, "window" if window else "window all"
    )
    title = "versions whose energies hold each value, from 0.05 to 10000 GeV"
    return svg.figure(300, 84, title, area, chosen, svg.x_axis(x, 60), class_="energy")
