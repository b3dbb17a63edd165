"""Aliases: a name such as `champion` for one version of a model, kept in the store.

A protected alias is a promise to whoever pulls it: only a version that shows a validation on its
own detector with every gate passed can have it (`catalog.earned`). There is no way around that but
another alias.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from catalog.earned import why_not
from catalog.errors import CheckFailed, UsageError
from catalog.index import Index
from catalog.refs import is_numbered
from catalog.stores.protocol import Alias, Committed, Store
from catalog.text import table

_ALIAS = re.compile(r"^[a-z][a-z0-9-]{0,62}$")


def check_alias(alias: str) -> str:
    """The alias, if it can be one.

    Raises
    ------
    UsageError
    """
    if not _ALIAS.fullmatch(alias) or is_numbered(alias):
        raise UsageError(
            f"{alias[:100]!r} cannot be an alias: lower-case letters, digits and '-', first a "
            "letter; not latest, not v3",
            "for example: catalog alias my-model@3 champion",
        )
    return alias


def assign(
    version: Committed, alias: str, store: Store, store_name: str, index: Index,
    protected: Collection[str],
) -> int | None:  # fmt: skip
    """Make an alias mean a version; returns the number of the version it meant before.

    Raises
    ------
    UsageError
        It cannot be an alias.
    CheckFailed
        It is protected, and this version has not earned it.
    """
    check_alias(alias)
    if alias in protected:
        _check_earned(version, alias, store)
    before = next((it.version for it in store.aliases(version.name) if it.alias == alias), None)
    store.point(version.name, alias, version.version)
    index.set_alias(store_name, Alias(version.name, alias, version.version))
    return before


def remove(name: str, alias: str, store: Store, store_name: str, index: Index) -> None:
    """Remove an alias, protected or not; the version stays.

    Raises
    ------
    NotFound
    """
    store.point(name, alias, None)
    index.drop_alias(store_name, name, alias)


def _check_earned(version: Committed, alias: str, store: Store) -> None:
    ref, name = f"{version.name}@{version.version}", version.name
    if problem := why_not(version, store):
        raise CheckFailed(
            f"{ref} cannot be {alias!r}, which is protected",
            [problem],
            f"catalog pull {ref} --out {name}/ && catalog validate {name}/ --data FILE --record "
            f"&& catalog publish {name}/    (then give the alias to the new version)",
        )


def as_dict(name: str, found: list[Alias], protected: Collection[str]) -> dict[str, Any]:
    """The JSON of one model's aliases."""
    aliases = [
        {
            "alias": it.alias,
            "version": it.version,
            "ref": f"{name}@{it.version}",
            "protected": it.alias in protected,
        }
        for it in found
    ]
    return {"name": name, "aliases": aliases}


def human(value: dict[str, Any]) -> str:
    """The aliases as a table."""
    rows = [
        (it["alias"], it["ref"], "protected" if it["protected"] else "")
        for it in value["aliases"]
    ]  # fmt: skip
    return table(("ALIAS", "VERSION", ""), rows)
