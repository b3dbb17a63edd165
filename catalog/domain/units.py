"""The units a card may use. Energies in cards are GeV, lengths mm, angles rad; a tensor inside a
model may use any unit of this list, because its card says which."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

UNITS = frozenset(
    (
        *("1", "eV", "keV", "MeV", "GeV", "TeV", "GeV/c", "um", "mm", "cm", "m", "ns", "s"),
        *("rad", "deg", "T", "e", "fC", "ADC", "MIP", "X0", "R_M", "lambda_I"),
    )
)


def _known(unit: str) -> str:
    if unit not in UNITS:
        known = ", ".join(sorted(UNITS))
        raise ValueError(f"unknown unit {unit!r}; known units: {known} ('1' is dimensionless)")
    return unit


Unit = Annotated[str, AfterValidator(_known)]
