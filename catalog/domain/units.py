"""The units a card may use. Energies in cards are GeV, lengths mm, angles rad; a tensor inside a
model may use any unit of this list, because its card says which."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

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


def _unquoted(unit: Any) -> Any:
    """`unit: 1` in YAML is a number; it can only mean the unit "1"."""
    return "1" if type(unit) is int and unit == 1 else unit


Unit = Annotated[str, BeforeValidator(_unquoted), AfterValidator(_known)]
