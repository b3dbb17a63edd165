"""Will it fit my detector? Showers that are uploaded, or a known detector, become a job."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, RedirectResponse, Response

from catalog.domain import load_detector
from catalog.domain.vocabulary import detector_names
from catalog.errors import UsageError
from catalog.index.query import parse_energy, parse_particle
from catalog.report.charts import spelled
from catalog.report.markup import Markup
from catalog.simulate.beam import HIGHEST, LOWEST, check_particle
from registry_server.api.jobs import OVER, jobs_of
from registry_server.api.long import start_recommend
from registry_server.api.registry import registry_of
from registry_server.auth.door import caller_of
from registry_server.web import svg
from registry_server.web.forms import check_page, read_form
from registry_server.web.render import page

router = APIRouter()
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
SHOWERS, MODELS = 300, 8
_DRAWN = 20  # models
_WIDTH, _LEFT, _ROW = 640, 190, 26  # px


@router.get("/fit", name="page_fit")
def fit(request: Request) -> Response:
    """What to choose from."""
    detectors = [it for name in detector_names() if (it := load_detector(name)).stack]
    size = registry_of(request).bounds.showers
    return page(request.scope, "fit.html", detectors=detectors, size=size, showers=SHOWERS)


@router.post("/fit/upload", name="page_fit_upload")
async def upload(request: Request) -> Response:
    """Take an HDF5 file, whole or not at all; where the answer will be."""
    check_page(request, request.headers.get("x-form", ""))
    made = await start_recommend(request, SHOWERS, MODELS, 0)
    return JSONResponse({"page": f"fit/{json.loads(bytes(made.body))['id']}"}, 202)


@router.post("/fit/detector", name="page_fit_detector")
async def of_detector(request: Request) -> Response:
    """Simulate a known detector by parametrisation, and rank models for that."""
    fields = await read_form(request)
    name, energy = fields.get("detector", ""), fields.get("energy", "").strip() or "1..100"
    if name not in detector_names():
        raise UsageError(f"no detector {name[:60]!r}", "choose one of the list")
    pdg, window = parse_particle(fields.get("particle", "")), parse_energy(energy)
    check_particle(pdg)
    if not LOWEST <= window[0] <= window[1] <= HIGHEST:
        raise UsageError(
            f"energies must lie in {LOWEST:g} to {HIGHEST:g} GeV", "for example 1..100"
        )
    asked = {"detector": name, "pdg": pdg, "energy_gev": list(window), "showers": SHOWERS,
             "models": MODELS, "seed": 0}  # fmt: skip
    jobs = jobs_of(registry_of(request))
    job = await run_in_threadpool(jobs.add, caller_of(request), "recommend", asked)
    return RedirectResponse(f"./{job}", 303)


@router.get("/fit/{job}", name="page_job")
def job(request: Request, job: Id) -> Response:
    """How far a job is, and the recommendation once it is there."""
    it = jobs_of(registry_of(request)).get(caller_of(request), job)
    found = it["result"] if it["kind"] == "recommend" else None
    chart = recommendation(found) if found else None
    ref = shlex.quote(found["ranking"][0]["ref"]) if found and found["ranking"] else ""
    return page(
        request.scope, "job.html", it=it, found=found, chart=chart, ref=ref, over=OVER,
        spelled=spelled,
    )  # fmt: skip


@router.post("/fit/{job}/cancel", name="page_job_cancel")
async def cancel(request: Request, job: Id) -> Response:
    """End a job."""
    await read_form(request)
    jobs, caller = jobs_of(registry_of(request)), caller_of(request)
    await run_in_threadpool(jobs.get, caller, job)
    await run_in_threadpool(jobs.cancel, job)
    return RedirectResponse(f"../{job}", 303)


def recommendation(found: dict[str, Any]) -> Markup | None:
    """Predicted distance with interval per model, scratch as a line, the floor; from the JSON."""
    rows, scratch = found["ranking"][:_DRAWN], found["scratch"]
    known = [row.get(key) for row in (*rows, scratch) for key in ("predicted", "low", "high",
             "zero_shot")] + [found["floor"]]  # fmt: skip
    values = [max(value, 1e-4) for value in known if value is not None]
    if not rows or not values:
        return None
    bottom = 20 + _ROW * len(rows)
    x = svg.Scale(min(values) / 1.3, max(values) * 1.3, _LEFT, _WIDTH - 12, log=True)
    parts = [*_scratch(scratch, x, bottom)]
    if found["floor"]:
        parts.append(svg.line(x.at(found["floor"]), 8, x.at(found["floor"]), bottom, "floor"))
    for place, row in enumerate(rows):
        parts += _model(row, x, 26 + _ROW * place)
    parts.append(svg.x_axis(x, bottom, "w1_geomean, in spreads of your showers; smaller is better"))
    best = rows[0]
    title = f"predicted distance of {len(rows)} models; first {best['ref']}: " + (
        "not predicted" if best["predicted"] is None else f"{best['predicted']:.2g}"
    )
    return svg.figure(_WIDTH, bottom + 38, title, *parts, class_="wide")


def _scratch(scratch: dict[str, Any], x: svg.Scale, bottom: float) -> list[Markup]:
    if scratch.get("predicted") is None:
        return []
    low, high = x.at(scratch["low"]), x.at(scratch["high"])
    at = x.at(scratch["predicted"])
    told = "from scratch: {predicted:.2g} ({low:.2g} to {high:.2g})".format(**scratch)
    return [svg.box(low, 8, high - low, bottom - 8, "scratch-range", told),
            svg.line(at, 8, at, bottom, "scratch")]  # fmt: skip


def _model(row: dict[str, Any], x: svg.Scale, y: float) -> list[Markup]:
    ref = row["ref"] if len(row["ref"]) <= 26 else f"{row['ref'][:12]}...{row['ref'][-11:]}"
    parts = [svg.word(_LEFT - 10, y + 4, ref, "", "end")]
    zero, predicted = row["zero_shot"], row["predicted"]
    if predicted is not None:
        told = f"{row['ref']}: {predicted:.2g} ({row['low']:.2g} to {row['high']:.2g})"
        if zero is not None:
            parts.append(svg.line(x.at(zero), y, x.at(predicted), y, "move"))
        parts.append(svg.line(x.at(row["low"]), y, x.at(row["high"]), y, "range"))
        parts.append(svg.dot(x.at(predicted), y, 5, "model-point", told))
    if zero is not None:
        parts.append(svg.dot(x.at(zero), y, 4.5, "zero", f"{row['ref']} as it is: {zero:.2g}"))
    return parts
