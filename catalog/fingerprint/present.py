"""Fingerprints as JSON and as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from catalog.fingerprint.axes import ANGLE_EDGES, ENERGY_EDGES, NAMES
from catalog.fingerprint.file import PARTS, Kept
from catalog.fingerprint.sums import FORMAT, Fingerprint
from catalog.text import table

_SHOWN = {  # key: observable
    "response": "response",
    "shower_max_x0": "shower_max_x0",
    "radius_rm": "radius_mean",
    "hits": "hits",
}
_TITLE = {
    "data": "showers",
    "samples": "showers that the model generates",
}


def as_dict(kept: Kept) -> dict[str, Any]:
    """The JSON: what is known of every bin; {part: None} where the file has no such part."""
    parts = {part: getattr(kept, part) for part in PARTS}
    return {
        "format": FORMAT,
        **{part: _part(found) if found else None for part, found in parts.items()},
    }


def _part(showers: Fingerprint) -> dict[str, Any]:
    return {
        "digest": showers.digest,
        "n": len(showers),
        "outside": showers.outside,
        "response_known": not showers.own_scale,
        "bins": [_bin(showers, *at) for at in zip(*np.nonzero(showers.n), strict=True)],
    }


def _bin(showers: Fingerprint, e: int, a: int) -> dict[str, Any]:
    mean, sd = showers.mean[e, a], showers.sd[e, a]
    at = {key: NAMES.index(name) for key, name in _SHOWN.items()}
    return {
        "energy_gev": [float(f"{x:.4g}") for x in ENERGY_EDGES[e : e + 2]],
        "theta_rad": [float(f"{x:.4g}") for x in ANGLE_EDGES[a : a + 2]],
        "n": int(showers.n[e, a]),
        **{key: float(f"{mean[i]:.4g}") for key, i in at.items()},
        "resolution": float(f"{sd[at['response']] / mean[at['response']]:.4g}"),
    }


def human(kept: Kept) -> str:
    """A table per part, one line per bin of energy and angle."""
    found = as_dict(kept)
    return "\n\n".join(_page(part, found[part]) for part in PARTS if found[part])


def _page(part: str, value: dict[str, Any]) -> str:
    lines = [
        (
            "{:.3g}-{:.3g}".format(*row["energy_gev"]),
            "{:.2g}-{:.2g}".format(*row["theta_rad"]),
            str(row["n"]),
            f"{row['response']:.3f}" if value["response_known"] else "-",
            f"{row['resolution']:.1%}",
            f"{row['shower_max_x0']:.2f}",
            f"{row['radius_rm']:.3f}",
            f"{row['hits']:.3f}",
        )
        for row in value["bins"]
    ]
    head = ("GEV", "RAD", "N", "RESPONSE", "RESOLUTION", "MAX [X0]", "RADIUS [R_M]", "HITS")
    notes = f"{value['n']} {_TITLE[part]}, {value['digest']}"
    if value["outside"]:
        notes += f"\n{value['outside']} more are beyond 0.0464 to 10,000 GeV and left out"
    if not value["response_known"]:
        notes += "\nsampling fraction unknown: the mean response is 1 by construction"
    return f"{notes}\n\n{table(head, lines)}"
