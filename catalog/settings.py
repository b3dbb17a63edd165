"""Where the catalog keeps its things on this machine, from the environment.

CATALOG_HOME    data: the embedded MLflow registry and the index  (default $XDG_DATA_HOME/hep-model-catalog)
CATALOG_CACHE   pulled versions; safe to delete                   (default $XDG_CACHE_HOME/hep-model-catalog)
CATALOG_CONFIG  the list of named stores        (default $XDG_CONFIG_HOME/hep-model-catalog/stores.yaml)
CATALOG_STORE   the store to publish to and pull from, by name or URI
                                              (default: the list's own, or "mlflow", the embedded one)
CATALOG_INDEX   what search reads, shared: postgresql://user@host/database (password: PGPASSWORD,
                ~/.pgpass or a service file)  (default: an SQLite file of your own in CATALOG_HOME)
CATALOG_REGISTRY  work through the /api/v1 of a registry, by address or by name: its stores and its
                index are meant then, and CATALOG_STORE and CATALOG_INDEX are not looked at
CATALOG_PROTECTED  aliases, besides champion, that only a validated version may have  (default none)
"""  # noqa: E501

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from catalog.store_names import EMBEDDED, StoreNames, config_file, read_names, registry_told


@dataclass(frozen=True)
class Settings:
    """Folders, the store by name (else by URI), the aliases that need a validation, the index.

    registry : through which all that is meant; "" is directly
    """

    home: Path
    cache: Path
    store: str
    protected: frozenset[str] = frozenset({"champion"})
    require_signature: bool = False
    public_key: Path | None = None
    index: str = field(default="", repr=False)  # an address may hold a password
    registry: str = ""


def load_settings(names: StoreNames | None = None) -> Settings:
    """Read the environment and the list of named stores, if it is not given; nothing is created.

    A registry is asked for the name of its usual store.

    Raises
    ------
    BadFile
        The list cannot be read.
    StoreError, NotAuthorised
        The registry cannot be asked.
    """
    user = Path.home()
    data = os.environ.get("XDG_DATA_HOME") or user / ".local" / "share"
    cache = os.environ.get("XDG_CACHE_HOME") or user / ".cache"
    names = read_names(config_file()) if names is None else names
    settings = Settings(
        home=Path(os.environ.get("CATALOG_HOME") or Path(data) / "hep-model-catalog").absolute(),
        cache=Path(os.environ.get("CATALOG_CACHE") or Path(cache) / "hep-model-catalog").absolute(),
        store=names.name_of(os.environ.get("CATALOG_STORE") or names.default or EMBEDDED),
        # Names are only added: what `champion` means must not depend on somebody's shell.
        protected=frozenset({"champion", *_words(os.environ.get("CATALOG_PROTECTED", ""))}),
        index=os.environ.get("CATALOG_INDEX", ""),
    )
    return through_registry(settings) if registry_told() else settings


def through_registry(settings: Settings) -> Settings:
    """The same folders, with the stores of the registry."""
    from catalog.remote.connect import about, connect

    there = about(connect())
    return replace(
        settings, store=there.store, protected=there.protected, index="", registry=registry_told()
    )


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
