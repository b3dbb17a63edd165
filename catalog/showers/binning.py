"""The binning XML of the CaloChallenge (github.com/CaloChallenge/homepage, code/binning_*.xml).

`<Bins><Bin pid="11" name="electron"><Layer id="0" r_edges="0,4.65,9.3" n_bin_alpha="16"/>...`:
radii in mm; a layer whose `r_edges` has one number holds no voxels. The file gives no depths.

XML is a way to attack its reader (entities that expand to gigabytes or fetch other files), so a
document type declaration, which all of that needs, is refused, and so is any large file.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from xml.parsers import expat

from catalog.domain import load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile
from catalog.showers.geometry import Geometry, from_voxel_count, rings
from catalog.showers.reader import Asked

_MAX_XML = 1_000_000  # bytes; the published files have some 10 kB
_MAX_CELLS = 1000
_REMEDY = "use the XML published with the data set: --binning FILE.xml, or remove it"
_Cut = tuple[list[float], int]  # radii in mm, number of sectors


def from_binning(asked: Asked, voxels: int) -> Geometry | None:
    """Geometry from the XML the user named, or one beside the file; None if there is none.

    Raises
    ------
    BadFile
        The XML is hostile or malformed, or no `Bin` in it is this particle's.
    """
    xml = asked.binning or _beside(asked.path)
    if xml is None:
        return None
    cuts, pdg = _bin_for(xml, parse_binning(xml), asked.pdg)
    known = from_voxel_count(voxels)
    detector = asked.detector or (known.detector if known else None)
    if detector is None and sum(n * (len(r) - 1) for r, n in cuts) == voxels:
        detector = asked.need_detector(f"{xml.name} gives the voxels but no layer stack")
    detector = detector or load_detector("atlas-barrel")  # the voxel count is refused next
    step = (detector.depth_mm or float(len(cuts))) / len(cuts)
    layers: tuple[Layer, ...] = tuple(
        rings(radii, n_phi, i * step, (i + 1) * step) for i, (radii, n_phi) in enumerate(cuts)
    )
    return Geometry(Mesh(layers), detector, pdg, xml.name)


def parse_binning(xml: Path) -> dict[int, list[_Cut]]:
    """Layers with voxels by PDG id, in the order of the file."""
    found: dict[int, list[_Cut]] = {}
    if not xml.is_file():
        raise BadFile(f"{xml}: no such file", "give the XML of the cells: --binning FILE.xml")
    try:
        with xml.open("rb") as stream:
            text = stream.read(_MAX_XML + 1)
        if len(text) > _MAX_XML:
            raise ValueError(f"larger than {_MAX_XML:,} bytes")
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = lambda tag, fields: _element(found, tag, fields)
        parser.Parse(text, True)
    except (OSError, ValueError, KeyError, expat.ExpatError) as exc:
        reason = f"attribute {exc} is missing" if isinstance(exc, KeyError) else str(exc)[:200]
        raise BadFile(
            f"{xml}: not a CaloChallenge binning: {reason}",
            _REMEDY,
        ) from exc
    if not any(found.values()):
        raise BadFile(f"{xml}: not a CaloChallenge binning: it has no layer with voxels", _REMEDY)
    return found


def _element(found: dict[int, list[_Cut]], tag: str, fields: dict[str, str]) -> None:
    if tag == "Bin":
        found.setdefault(int(fields["pid"]), [])
    if tag != "Layer":
        return
    if not found:
        raise ValueError("a Layer outside any Bin")
    radii = [float(v) for v in fields["r_edges"].split(",")]
    if len(radii) == 1:
        return
    rising = all(a < b for a, b in pairwise(radii))
    if not (rising and radii[0] >= 0 and math.isfinite(radii[-1]) and len(radii) <= _MAX_CELLS):
        raise ValueError(f"r_edges of layer {fields.get('id', '?')[:20]} do not increase from 0")
    sectors = int(fields["n_bin_alpha"])
    if not 0 < sectors <= _MAX_CELLS:
        raise ValueError(f"n_bin_alpha is {sectors}")
    last = found[list(found)[-1]]
    last.append((radii, sectors))
    if len(last) > _MAX_CELLS:
        raise ValueError(f"more than {_MAX_CELLS} layers")


def _bin_for(xml: Path, bins: dict[int, list[_Cut]], pdg: int | None) -> tuple[list[_Cut], int]:
    if pdg is None and len(bins) == 1:
        pdg = next(iter(bins))
    for candidate in (pdg, -pdg if pdg is not None else None):
        if candidate is not None and bins.get(candidate):
            return bins[candidate], int(pdg or candidate)
    raise BadFile(
        f"{xml}: has voxels for PDG {', '.join(map(str, sorted(bins)))}; which is meant?",
        "name the particle: --particle gamma",
    )


def _beside(path: Path) -> Path | None:
    """`NAME.xml`, or `binning_NAME.xml` without the number of the part, as they are published."""
    stem = re.sub(r"_\d+$", "", path.stem)
    names = (f"{path.stem}.xml", f"binning_{path.stem}.xml", f"binning_{stem}.xml")
    return next((path.with_name(n) for n in names if path.with_name(n).is_file()), None)


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it declares a document type, which could define entities")
