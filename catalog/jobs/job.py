"""A Job: what is to run, told once, whatever starts it and wherever.

The command is a list of words and is never given to a shell. What a quote must know of the work
stands beside it: a training by its examples, batch and epochs, or many independent tasks by their
core-hours and data.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError
from pydantic import field_validator as checks
from pydantic import model_validator as validates

from catalog.adapt.duration import parse_duration
from catalog.domain.base import Frozen
from catalog.errors import BadFile, CatalogError, NotFound
from catalog.strict_yaml import load_yaml
from catalog.validation import explain

_MAX_YAML = 100_000  # bytes
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
Word = Annotated[str, Field(max_length=10_000)]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Amount = Annotated[float, Field(gt=0, le=1e9)]


class Blob(Frozen):
    """A file that goes in or comes out; the digest of an output is known only afterwards."""

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    digest: Annotated[str, Field(pattern=r"sha256:[0-9a-f]{64}")] | None = None
    gb: Annotated[float, Field(ge=0, le=1e9)] | None = None


class Training(Frozen):
    """Steps over examples; as many as `epochs` take, or `steps`.

    system : what it is a run of: published runs of that name, or a model family, calibrate it
    batch : examples per device and step
    loader : examples/s that reading the data delivers, where it was measured
    """

    system: Annotated[str, Field(min_length=1, max_length=64)]
    examples: Annotated[int, Field(ge=1, le=10**12)]
    batch: Annotated[int, Field(ge=1, le=10**7)]
    epochs: Annotated[int, Field(ge=1, le=10**6)] | None = None
    steps: Annotated[int, Field(ge=1, le=10**9)] | None = None
    loader: PositiveFloat | None = None

    @validates(mode="after")
    def _one_length(self) -> Training:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give `epochs:` or `steps:`, one of them")
        return self


class Parallel(Frozen):
    """Independent tasks: `core_hours` in all, spread over as many cores as the time allows."""

    core_hours: _Amount
    tasks: PositiveInt | None = None


class Job(Frozen):
    """What is to run.

    nodes, devices : machines, and devices of each
    device : a name of `devices.yaml`; left out, a quote chooses device and number
    cpus, memory_gb, disk_gb : of each node
    where, region : the place it must run at; left out, anywhere
    inputs, outputs : what is read and written, with sizes, of which egress and storage follow
    time_limit : such as 10min or 12h
    startup : from asking for machines to the first step
    """

    name: Annotated[str, Field(pattern=r"[a-z0-9][a-z0-9._-]{0,62}")]
    about: Annotated[str, Field(max_length=1000)] = ""
    command: Annotated[tuple[Word, ...], Field(min_length=1, max_length=1000)]
    env: dict[str, Word] = Field(default_factory=dict)
    nodes: _Count = 1
    devices: _Count = 1
    device: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    cpus: _Count | None = None
    memory_gb: _Amount | None = None
    disk_gb: _Amount | None = None
    where: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    region: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    spot: bool | None = None
    inputs: tuple[Blob, ...] = ()
    outputs: tuple[Blob, ...] = ()
    time_limit: str | None = None
    startup: str | None = None
    training: Training | None = None
    parallel: Parallel | None = None

    @checks("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"{name!r} is no name of an environment variable")
        return env

    @checks("command", "env")
    @classmethod
    def _words(cls, value: Any) -> Any:
        words = value.values() if isinstance(value, dict) else value
        if any("\0" in word for word in words):
            raise ValueError("holds a zero byte")
        return value

    @checks("time_limit", "startup")
    @classmethod
    def _time(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                parse_duration(text)
            except CatalogError as exc:
                raise ValueError(f"{exc.message}; {exc.hint}") from exc
        return text

    @validates(mode="after")
    def _one_kind(self) -> Job:
        if self.training and self.parallel:
            raise ValueError("`training:` and `parallel:` exclude each other")
        return self


def shipped_jobs() -> list[str]:
    """Names of the shipped job files."""
    names = (file.name for file in files("catalog.cost").joinpath("jobs").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_job(name_or_file: str) -> Job:
    """A shipped job by name, or the user's own from a YAML file.

    Raises
    ------
    NotFound
        No shipped job has that name, or there is no such file.
    BadFile
        The file is not a job; names every field that is wrong.
    """
    if name_or_file in shipped_jobs():
        file = files("catalog.cost").joinpath("jobs", f"{name_or_file}.yaml")
        return parse_job(file.read_text("utf-8"), file.name)
    path = Path(name_or_file)
    if not path.is_file():
        raise NotFound(
            f"no job file {name_or_file!r}; shipped: {', '.join(shipped_jobs())}",
            "give one of these names, or a YAML file of your own: docs/cost.md",
        )
    if path.stat().st_size > _MAX_YAML:
        raise BadFile(f"{path}: larger than {_MAX_YAML} bytes, so not a job")
    return parse_job(path.read_text(encoding="utf-8", errors="replace"), str(path))


def parse_job(text: str, where: str) -> Job:
    """Read a job from YAML; see `load_job`."""
    try:
        document = load_yaml(text)
    except ValueError as exc:
        raise BadFile(f"{where}: {exc}") from exc
    if not isinstance(document, dict):
        raise BadFile(f"{where}: not a job: expected `key: value` lines")
    try:
        return Job.model_validate(document)
    except ValidationError as exc:
        known = ", ".join(Job.model_fields)
        raise BadFile(f"{where}: {'; '.join(explain(exc))}", f"known keys: {known}") from exc
