"""The JSON of /api, as OpenAPI tells it to generated clients. Keys may be added, never renamed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from catalog.card import ModelName
from registry_server.auth.caller import Role

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Word = Annotated[str | None, Field(max_length=200)]
State = Literal["queued", "running", "done", "failed", "cancelled"]


class ErrorBody(BaseModel):
    """What was wrong, and what to do next."""

    code: str
    message: str
    hint: str
    request_id: str


class Error(BaseModel):
    """The one shape of every error."""

    error: ErrorBody


class About(BaseModel):
    """This server, and who it takes you for; `protected` aliases must be earned."""

    name: str
    version: str
    caller: str
    role: Role
    store: str
    protected: list[str]


class Conflict(BaseModel):
    """Another version under the same number, in another store."""

    store: str
    digest: str


class Model(BaseModel):
    """One version, as `catalog search --json` tells it."""

    ref: str
    name: str
    version: int
    store: str
    digest: str
    task: str | None
    family: str | None
    detector: str | None
    detector_type: str | None
    particles: list[int]
    energy_gev: list[float] | None
    licence: str | None
    validated: bool
    summary: str
    aliases: list[str]
    stores: list[str]
    gone: str | None
    conflicts: list[Conflict]


class Search(BaseModel):
    """What `GET /models` may be asked for."""

    q: Annotated[str, Field(max_length=500, description="Words to look for.")] = ""
    detector: Word = None
    material: Word = None
    particle: Word = None
    energy: Annotated[str | None, Field(max_length=60, description="GeV: 50 or 10..100.")] = None
    task: Word = None
    family: Word = None
    licence: Word = None
    validated: bool = False
    store: Word = None
    gone: bool = False
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[
        str | None, Field(max_length=200, description="`next` of the page before.")
    ] = None


class Models(BaseModel):
    """A page of a search; `next` is the cursor of the page after it.

    A total that is not exact says that there are at least so many.
    """

    total: int
    total_is_exact: bool
    models: list[Model]
    next: str | None


class Alias(BaseModel):
    """A name for one version."""

    alias: str
    version: int
    ref: str
    protected: bool


class Aliases(BaseModel):
    """The aliases of a model, as `catalog alias --json` tells them."""

    name: str
    aliases: list[Alias]


class AliasTo(BaseModel):
    """The version that an alias shall mean."""

    version: Annotated[int, Field(ge=1, le=999_999_999)]


class Owner(BaseModel):
    """Who may publish versions of a model; null: only an admin."""

    name: str
    owner: str | None


class OwnerTo(BaseModel):
    """Who shall own a model: `token:NAME` or `oidc:SUBJECT`."""

    owner: Annotated[str, Field(pattern=r"^(token|oidc):[ -~]{1,200}$")]


class ModelPage(BaseModel):
    """A model: its newest version, and all their numbers."""

    name: str
    newest: Model
    versions: list[int]
    aliases: list[str]
    owner: str | None


class Link(BaseModel):
    """A version of the family tree."""

    ref: str
    digest: str


class Lineage(BaseModel):
    """What it was adapted from, and what was adapted from it."""

    parent: Link | None
    children: list[Link]


class Version(BaseModel):
    """Everything about one version, as `catalog show --json` tells it."""

    ref: str
    name: str
    version: int
    store: str
    digest: str
    documented: bool
    stores: list[str]
    conflicts: list[Conflict]
    gone: str | None
    versions: list[int]
    aliases: list[str]
    card: dict[str, Any] | None
    told: dict[str, Any] | None
    materials: list[str]
    lineage: Lineage


class File(BaseModel):
    """One file of a version; `url` gives its bytes."""

    path: str
    size: int
    digest: Digest
    url: str


class Files(BaseModel):
    """The manifest of a version; `digest` is that of the version."""

    ref: str
    digest: Digest
    size: int
    files: list[File]


class Wanted(BaseModel):
    """A file that will be uploaded."""

    path: Annotated[str, Field(min_length=1, max_length=200)]
    size: Annotated[int, Field(ge=0, le=1 << 40)]
    digest: Digest


class Begin(BaseModel):
    """A version that will be uploaded: its manifest."""

    name: ModelName
    files: Annotated[list[Wanted], Field(min_length=1, max_length=1000)]


class Part(BaseModel):
    """How much of a file is here; go on sending at `offset`."""

    digest: Digest
    size: int
    offset: int
    complete: bool


class Published(BaseModel):
    """A visible version, as `catalog publish --json` tells it."""

    ref: str
    name: str
    version: int
    digest: str
    store: str
    new: bool


class Upload(BaseModel):
    """An upload: what is here of each file; `published` once it was committed."""

    id: str
    name: str
    files: list[Part]
    published: Published | None


class Store(BaseModel):
    """A store by name; nothing is contacted."""

    name: str
    default: bool
    require_signature: bool
    versions: int
    synced: str | None


class Stores(BaseModel):
    """The stores that this server knows."""

    stores: list[Store]


class SyncOf(BaseModel):
    """What to sync: one store, or all; everything, or what changed."""

    store: Annotated[str, Field(max_length=200)] | None = None
    full: bool = False


class Runs(BaseModel):
    """A page of recorded adaptations, as `catalog runs --json` tells them."""

    runs: list[dict[str, Any]]
    next: str | None


class Progress(BaseModel):
    """The last a job said, and how far it is."""

    message: str = ""
    done: int = 0
    total: int = 0


class JobError(BaseModel):
    """Why a job failed."""

    message: str
    hint: str


class Job(BaseModel):
    """Long work. Times are seconds since 1970. `result` is what the verb prints with --json."""

    id: str
    kind: str
    state: State
    caller: str
    created: float
    started: float | None
    finished: float | None
    progress: Progress
    result: dict[str, Any] | None
    error: JobError | None


class Jobs(BaseModel):
    """The latest jobs first."""

    jobs: list[Job]
    next: str | None
