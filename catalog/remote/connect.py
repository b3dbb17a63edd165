"""Which registry is meant, who we are there, and what it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache

from catalog.address import shown
from catalog.errors import NotFound, StoreError, UsageError
from catalog.remote.client import Client
from catalog.remote.place import Place, parse_place
from catalog.store_names import REGISTRY, config_file, read_names, registry_name, registry_told
from catalog.stores.named import secret_of
from catalog.stores.secret import Secret


@dataclass(frozen=True)
class About:
    """What a registry says of itself; `protected` are aliases that a version must earn."""

    version: str
    store: str
    protected: frozenset[str]


def connect(told: str = "") -> Client:
    """The client of a registry told by address, or by the name of a store of that kind.

    Nothing is contacted. Its entry in the list of stores says which credential is for it; without
    one CATALOG_TOKEN is.

    Raises
    ------
    UsageError, NotFound, NotAuthorised
    """
    told, names = told or registry_told(), read_names(config_file())
    name = registry_name(names, told)
    named = names.stores.get(name)
    if named is not None and named.uri.startswith(REGISTRY):
        return client_of(named.uri, secret_of(name, named))
    if "://" in told:
        return client_of(told)
    raise NotFound(
        f"no registry is named {shown(told)!r}",
        f"catalog stores add {shown(told)} {REGISTRY}https://models.example.org "
        "--token-env VARIABLE    (or give its address)",
    )


def client_of(uri: str, secret: Secret | None = None) -> Client:
    """The client of `registry+https://host`; CATALOG_TOKEN is for CATALOG_REGISTRY alone.

    Raises
    ------
    UsageError, NotAuthorised
    """
    place = parse_place(uri.removeprefix(REGISTRY))
    if secret is not None:
        if secret.username:
            raise UsageError("a registry takes a token, not a user name", "--token-env VARIABLE")
        return _opened(place, secret.token)
    return _opened(place, os.environ.get("CATALOG_TOKEN", "") if _is_meant(place) else "")


def _is_meant(place: Place) -> bool:
    """Whether it is the registry that this process was told to use."""
    told, names = registry_told(), read_names(config_file())
    name = registry_name(names)
    address = names.stores[name].uri if name else told
    return "://" in address and parse_place(address.removeprefix(REGISTRY)).origin == place.origin


@lru_cache(maxsize=16)
def _opened(place: Place, token: str) -> Client:
    return Client(place, token)


@lru_cache(maxsize=16)
def about(client: Client) -> About:
    """Ask a registry what it is, once in a process.

    Raises
    ------
    StoreError
        It is no registry, or an older one, or does not answer.
    NotAuthorised
    """
    told = client.json("GET", "/")
    try:
        return About(str(told["version"]), str(told["store"]), frozenset(told["protected"]))
    except (KeyError, TypeError) as exc:
        version = told.get("version", "?") if isinstance(told, dict) else "?"
        raise StoreError(
            f"{client.place.url} runs version {shown(str(version))[:20]} of the catalog, which is "
            "too old for this command line",
            "ask its administrator for a newer one, or install that version here",
        ) from exc
