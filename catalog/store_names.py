"""Stores by name: one YAML file, readable by its owner only, that never holds a credential.

$CATALOG_CONFIG, or $XDG_CONFIG_HOME/hep-model-catalog/stores.yaml:

    default: lab
    stores:
      lab: {uri: mlflow+https://mlflow.example.org, token_env: LAB_TOKEN}
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from catalog.address import check_address, shown, spelt
from catalog.errors import BadFile, CatalogError, NotFound, UsageError, cannot_write

REGISTRY = "registry+"  # before the address of a registry that is used as a store
EMBEDDED = "mlflow"  # the name of the registry on this machine; never in the file
_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,31}$")
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")
_MAX_FILE = 200_000  # bytes, some 4,000 stores: every command reads them all, in under a second
_TOO_LARGE = f"too large: a list of stores has at most {_MAX_FILE:,} bytes"
_PATIENCE = 20.0  # seconds to wait for another writer, who needs milliseconds
_STALE = 10.0  # a lock this old belongs to a killed process


@dataclass(frozen=True)
class Named:
    """One named store.

    token_env, login_env : environment variables that hold a token, or `user:password`
    keyring : service under which the system's keyring holds the token, for the user NAME
    require_signature : pull only what is signed
    public_key : path of the PEM file of whoever must have signed it
    """

    uri: str
    require_signature: bool = False
    token_env: str = ""
    login_env: str = ""
    keyring: str = ""
    public_key: str = ""


@dataclass(frozen=True)
class StoreNames:
    """The file: stores by name, and the one meant when none is named."""

    stores: Mapping[str, Named] = field(default_factory=dict)
    default: str = ""

    def name_of(self, told: str) -> str:
        """The name of a store told by name or by URI; what has no name keeps its URI.

        Raises
        ------
        UsageError
            It is a URI that carries a password or a token.
        """
        if told in self.stores:
            return told
        same = spelt(check_address(told))
        return next((name for name, it in self.stores.items() if spelt(it.uri) == same), told)

    def address_of(self, told: str) -> str:
        """The address of a store told by name or by URI, in one spelling."""
        return spelt(self.stores[told].uri if told in self.stores else told)


def config_file() -> Path:
    """Where the file is, from the environment."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    told = os.environ.get("CATALOG_CONFIG")
    return Path(told or Path(folder) / "hep-model-catalog" / "stores.yaml").absolute()


def registry_told() -> str:
    """The registry of this process, by address or by name; "" works with stores directly."""
    return os.environ.get("CATALOG_REGISTRY", "")


def registry_name(names: StoreNames, told: str = "") -> str:
    """What the list calls a registry told by name or by address; "" if it is not there."""
    told = told or registry_told()
    if "://" in told:
        told = names.name_of(REGISTRY + told.removeprefix(REGISTRY))
    return told if told in names.stores else ""


def read_names(path: Path) -> StoreNames:
    """Read the file; an absent one names no stores.

    Raises
    ------
    BadFile
        Naming the field that is wrong.
    """
    try:
        if stat.S_ISFIFO(path.stat().st_mode):
            raise BadFile(f"{path}: is a pipe, not a file")  # opening it would wait for ever
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        return StoreNames()
    except OSError as exc:
        raise BadFile(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    from catalog.strict_yaml import load_yaml  # only whoever has named a store waits for it

    hint = "mend it by hand, or delete it and add the stores again: catalog stores add NAME URI"
    try:
        if len(data) > _MAX_FILE:
            raise ValueError(_TOO_LARGE)
        return _parse(load_yaml(data.decode("utf-8")))
    except (ValueError, CatalogError) as exc:
        raise BadFile(f"{path}: {_words(exc)}", hint) from exc


def _words(exc: Exception) -> str:
    """What is wrong with the list, without the lines around it that PyYAML likes to quote."""
    found = exc.__cause__
    mark, problem = getattr(found, "problem_mark", None), getattr(found, "problem", None)
    if mark and problem:
        return f"line {mark.line + 1}: not valid YAML: {shown(problem)}"
    return str(getattr(exc, "message", exc))


def add_store(path: Path, name: str, store: Named, default: bool = False) -> None:
    """Name a store, or change what a name means.

    Raises
    ------
    UsageError
        The name, the URI or a variable cannot be one.
    """
    check_named(name, store)
    _change(
        path, lambda it: StoreNames({**it.stores, name: store}, name if default else it.default)
    )


def remove_store(path: Path, name: str) -> None:
    """Forget a name; the store itself stays.

    Raises
    ------
    NotFound
    """

    def without(it: StoreNames) -> StoreNames:
        if name not in it.stores:
            known = ", ".join(it.stores) or "none"
            raise NotFound(
                f"no store is named {shown(name)!r}; named: {known}", "catalog stores ls"
            )
        left = {key: value for key, value in it.stores.items() if key != name}
        return replace(it, stores=left, default="" if it.default == name else it.default)

    _change(path, without)


def check_named(name: str, store: Named) -> None:
    """Refuse what cannot be a named store, above all a URI that carries a password.

    Raises
    ------
    UsageError
    """
    if not _NAME.fullmatch(name) or name == EMBEDDED:
        raise UsageError(
            f"{shown(name)[:100]!r} cannot name a store: lower-case letters, digits, '-' and '_', "
            f"at most 32; {EMBEDDED!r} is the registry on this machine",
            "for example: catalog stores add lab mlflow+https://mlflow.example.org",
        )
    check_address(store.uri)
    for variable in (store.token_env, store.login_env):
        if variable and not _VARIABLE.fullmatch(variable):
            raise UsageError(
                "the name of an environment variable is wanted, not what it holds",
                f"export LAB_TOKEN=...; catalog stores add {name} URI --token-env LAB_TOKEN",
            )


def _parse(document: Any) -> StoreNames:
    """The document, checked field by field."""
    if document is None:
        return StoreNames()
    if not isinstance(document, dict) or not set(document) <= {"stores", "default"}:
        raise ValueError("expected the keys `stores` and `default`")
    kinds = {key: type(value) for key, value in asdict(Named("")).items()}
    stores = {}
    listed = document.get("stores") or {}
    if not isinstance(listed, dict):
        raise ValueError("stores: expected `NAME: {uri: ...}` for each")  # noqa: TRY004
    for name, told in listed.items():
        if not isinstance(told, dict) or "uri" not in told:
            raise ValueError(f"stores.{name}: expected at least `uri: ...`")
        for key, value in told.items():
            if kinds.get(str(key)) is not type(value):
                raise ValueError(f"stores.{name}.{key}: unknown, or not of the right kind")
        stores[str(name)] = Named(**told)
        check_named(str(name), stores[str(name)])
    default = str(document.get("default") or "")
    if default and default not in (*stores, EMBEDDED):
        raise ValueError(f"default: no store is named {shown(default)!r}")
    return StoreNames(stores, default)


def _change(path: Path, change: Callable[[StoreNames], StoreNames]) -> None:
    """Read, change and replace the file in one step, one process at a time."""
    import yaml

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(path.with_name(f".{path.name}.lock")):
            names = change(read_names(path))
            blank = asdict(Named(""))
            stores = {
                name: {k: v for k, v in asdict(it).items() if v != blank[k]}
                for name, it in sorted(names.stores.items())
            }
            document = {"stores": stores} | ({"default": names.default} if names.default else {})
            text = yaml.safe_dump(document, sort_keys=True)
            if len(text.encode()) > _MAX_FILE:
                raise UsageError(f"{path}: {_TOO_LARGE}", "catalog stores rm NAME")
            temp = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                temp.replace(path)
            finally:
                temp.unlink(missing_ok=True)
    except OSError as exc:
        raise cannot_write(path, exc) from exc


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process changes the file: whoever creates the lock has it.

    Creating a file exclusively works where `flock` is only pretended.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError:
            if _age(lock) > _STALE:
                lock.unlink(missing_ok=True)
            elif time.monotonic() > until:
                raise CatalogError(
                    f"{lock}: another process keeps the list of stores", f"rm {lock}"
                ) from None
            time.sleep(0.02)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _age(lock: Path) -> float:
    try:
        return time.time() - lock.stat().st_mtime
    except OSError:
        return 0.0
