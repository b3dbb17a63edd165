"""The JSON of what a command line asks on behalf of its verbs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from registry_server.api.shapes import Model

_Energy = Annotated[float, Field(gt=0, lt=1e9, allow_inf_nan=False)]
_Angle = Annotated[float, Field(ge=0, le=6.3, allow_inf_nan=False)]
_Store = Annotated[str, Field(max_length=200)]


class Found(BaseModel):
    """Versions, those that are there first, then documented ones, then the newest."""

    models: list[Model]


class Names(BaseModel):
    """Names of all models."""

    names: list[str]


class OpenUploads(BaseModel):
    """Ids of your uploads that can go on here, the latest first."""

    uploads: list[str]


class Absent(BaseModel):
    """Paths of the files of a version whose bytes its store has lost, as far as it can tell."""

    paths: list[str]


class Question(BaseModel):
    """A target: its conditions and fingerprint (the bytes of `fingerprint.npz`, base64)."""

    pdg: Annotated[int, Field(ge=-(10**10), le=10**10)]
    digest: Annotated[str, Field(max_length=100)] = ""
    incident_gev: Annotated[list[_Energy], Field(min_length=1, max_length=10_000)]
    theta_rad: Annotated[list[_Angle], Field(min_length=2, max_length=2)]
    fingerprint: Annotated[str, Field(max_length=70_000)] | None = None
    models: Annotated[int, Field(ge=1, le=10_000)] = 8


class Listed(BaseModel):
    """A model to run; `distance` is of fingerprints, null where unknown."""

    model: Model
    why: str
    distance: float | None


class Other(BaseModel):
    """A model that could be adapted, too."""

    ref: str
    why: str
    distance: float | None


class Excluded(BaseModel):
    """A model that cannot be adapted to the target."""

    ref: str
    why: str


class Shortlist(BaseModel):
    """Which models to run, nearest first; `covered` are the energies of all generators, GeV."""

    chosen: list[Listed]
    others: list[Other]
    excluded: list[Excluded]
    covered: list[list[float | None]]
    words: str


class CardOf(BaseModel):
    """A card, as the text of a YAML file."""

    card: Annotated[str, Field(min_length=1, max_length=1_000_000)]


class VerifyOf(BaseModel):
    """What to read again: one version, or a whole store; `public_key` is the text of a PEM."""

    name: Annotated[str, Field(max_length=250)] | None = None
    version: Annotated[int, Field(ge=1, le=999_999_999)] | None = None
    store: _Store | None = None
    public_key: Annotated[str, Field(max_length=10_000)] = ""
    required: bool = False


class RecordsOf(BaseModel):
    """Recorded adaptations, as `catalog runs --json` tells them."""

    runs: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


class Added(BaseModel):
    """How many of them were new."""

    added: int
